mod reading;
mod trash;
