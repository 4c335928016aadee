//! The whole system through HTTP, with real bytes, a real journal and a real S3 server.

#![expect(clippy::disallowed_methods, reason = "tests live in real time")]

mod addresses;
mod app;
mod brake;
mod broken;
mod clocks;
mod collection;
mod database;
mod dividing;
mod edge;
mod explanations;
mod late_uploads;
mod lifecycle;
mod lost_answers;
mod manners;
mod network;
mod notifications;
mod openapi;
mod pace;
mod proxy;
mod reconciliation;
mod review;
mod roles;
mod runs;
mod seals;
mod tickets;
mod trash;
mod trouble;
mod versions;
