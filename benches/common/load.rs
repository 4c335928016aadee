//! The clients. They are as cheap as can be, since they share the cores with the service: requests are texts that are
//! filled in, answers are searched, and only the first of each connection is parsed.

use std::{
    cell::Cell,
    net::SocketAddr,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    Failure,
    samples::{Samples, micros},
};

const CONTENT_LENGTH: &[u8] = b"content-length: ";

/// What the clients call.
pub trait Calls: Send {
    /// Writes the whole of the request with this number, from 0.
    fn write(&self, number: u64, request: &mut Vec<u8>);
    /// How an answer must begin, and what only the right one holds: any other ends the run.
    fn wanted(&self) -> (&'static [u8], &'static [u8]);
    /// Whether the whole answer says what it should; it is asked for the first of each connection.
    fn is_answered(&self, body: &serde_json::Value) -> bool;
    /// How many there can be.
    fn most(&self) -> u64 {
        u64::MAX
    }
    /// When the request with this number is due, from the beginning of the run; absent where each connection calls as soon as
    /// it has its answer.
    fn due(&self, _number: u64) -> Option<Duration> {
        None
    }
}

/// Clients that call, each for the next time when it has its answer.
pub struct Load<'c> {
    pub connections: usize,
    /// After it no request is sent. Every one that was sent is awaited.
    pub length: Duration,
    pub calls: &'c dyn Calls,
}

/// What the clients of a run share.
struct Run<'c> {
    begun: Instant,
    deadline: Option<Instant>,
    /// Requests that were sent.
    sent: Cell<u64>,
    calls: &'c dyn Calls,
}

impl Run<'_> {
    /// The number of the next request, if there may be one.
    fn next(&self) -> Option<u64> {
        let number = self.sent.get();
        if number == self.calls.most() || self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return None;
        }
        self.sent.set(number + 1);
        Some(number)
    }

    /// Waits until this request is due, and answers with the time from which it counts: that it was due, where no connection
    /// was free then.
    async fn wait_for(&self, number: u64) -> Instant {
        let now = Instant::now();
        let Some(due) = self.calls.due(number).map(|after| self.begun + after) else { return now };
        if due < now {
            return due;
        }
        tokio::time::sleep(due - now).await;
        Instant::now()
    }
}

impl Load<'_> {
    /// How long each call took.
    ///
    /// # Errors
    /// The first answer that is another than wanted.
    pub async fn run(&self, address: SocketAddr) -> Result<Samples, Failure> {
        let mut streams = Vec::with_capacity(self.connections);
        for _ in 0..self.connections {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            streams.push(stream);
        }
        let begun = Instant::now();
        let run = Run { begun, deadline: begun.checked_add(self.length), sent: Cell::new(0), calls: self.calls };
        let clients = streams.into_iter().map(|stream| client(stream, &run));
        let latencies = futures_util::future::try_join_all(clients).await?;
        Ok(Samples::new(latencies.concat(), begun.elapsed()))
    }
}

/// One connection: how long each of its calls took, in microseconds.
async fn client(mut stream: TcpStream, run: &Run<'_>) -> Result<Vec<u32>, String> {
    let (begins, holds) = run.calls.wanted();
    let mut latencies = Vec::new();
    let (mut request, mut answer) = (Vec::new(), Vec::with_capacity(8 * 1024));
    while let Some(number) = run.next() {
        request.clear();
        run.calls.write(number, &mut request);
        let sent = run.wait_for(number).await;
        stream.write_all(&request).await.map_err(|error| format!("sending failed: {error}"))?;
        let body = read_answer(&mut stream, &mut answer).await?;
        latencies.push(micros(sent.elapsed()));
        let wanted = answer.starts_with(begins) && find(&answer, holds).is_some();
        let says = || serde_json::from_slice(&answer[body..]).is_ok_and(|body| run.calls.is_answered(&body));
        if !wanted || latencies.len() == 1 && !says() {
            return Err(format!("not what was asked for, but {}", String::from_utf8_lossy(&answer)));
        }
    }
    Ok(latencies)
}

/// Reads one whole answer and says where its body begins.
async fn read_answer(stream: &mut TcpStream, answer: &mut Vec<u8>) -> Result<usize, String> {
    answer.clear();
    let mut place = None;
    loop {
        match stream.read_buf(answer).await {
            Ok(0) => return Err("the service closed the connection".to_owned()),
            Ok(_) => {}
            Err(error) => return Err(format!("reading failed: {error}")),
        }
        if place.is_none() {
            place = body_of(answer)?;
        }
        match place {
            Some((_, end)) if answer.len() > end => return Err("more than one answer came".to_owned()),
            Some((body, end)) if answer.len() == end => return Ok(body),
            _ => {}
        }
    }
}

/// Where the body begins and ends, once the head is there.
fn body_of(answer: &[u8]) -> Result<Option<(usize, usize)>, String> {
    let Some(end) = find(answer, b"\r\n\r\n") else { return Ok(None) };
    let (head, body) = (&answer[..end], end + 4);
    let digits = find(head, CONTENT_LENGTH).map(|at| &head[at + CONTENT_LENGTH.len()..]);
    let digits = digits.and_then(|rest| rest.split(|byte| *byte == b'\r').next());
    match digits.and_then(|digits| str::from_utf8(digits).ok()?.parse::<usize>().ok()) {
        Some(length) => Ok(Some((body, body + length))),
        None => Err(format!("an answer without length: {}", String::from_utf8_lossy(head))),
    }
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    memchr::memmem::find(text, wanted)
}
