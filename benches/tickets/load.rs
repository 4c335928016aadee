//! The clients. They are as cheap as can be, since they share the cores with the service: requests are texts that are
//! filled in, answers are searched, and only the first of each connection is parsed.

use std::{
    cell::Cell,
    io::Write,
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::LocalSet,
};

use crate::{
    Failure,
    samples::{Samples, micros},
};

const CREATED: &[u8] = b"HTTP/1.1 201 ";
const CONTENT_LENGTH: &[u8] = b"content-length: ";
/// What only an answer with a ticket holds.
const TICKET: &[u8] = br#""upload":{"method":"PUT","url":"http"#;

/// When the clients stop asking. Every request that was sent is awaited.
#[derive(Clone, Copy)]
pub enum Until {
    Elapsed(Duration),
    /// So many tickets.
    Count(u64),
}

/// Clients that ask for tickets, each for the next one when it has its answer.
pub struct Load {
    connections: usize,
    until: Until,
    idempotent: bool,
}

/// What a run came to.
pub struct Measured {
    /// One for each ticket.
    pub samples: Samples,
    pub client_cpu: Duration,
    pub service_cpu: Duration,
    /// What ran beside them, and slowed them down.
    pub other_cpu: Duration,
    /// Transactions that the journal took for it.
    pub commits: u64,
}

impl Measured {
    pub fn tickets(&self) -> u64 {
        self.samples.count()
    }
}

/// What the clients of a run share.
struct Run {
    deadline: Option<Instant>,
    /// Requests that may still be sent.
    left: Cell<u64>,
    /// Begins the `Idempotency-Key` of each request, where they have one; no other run has it.
    key: Option<uuid::Uuid>,
}

impl Run {
    fn may_send(&self) -> bool {
        if self.left.get() == 0 || self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return false;
        }
        self.left.set(self.left.get() - 1);
        true
    }
}

impl Load {
    pub fn new(connections: usize, until: Until) -> Self {
        Self { connections, until, idempotent: false }
    }

    /// Each request has an `Idempotency-Key` of its own, so the service looks for an earlier one first.
    pub fn idempotent(mut self) -> Self {
        self.idempotent = true;
        self
    }

    /// # Errors
    /// The first answer that is no ticket.
    pub async fn run(&self, address: SocketAddr) -> Result<Measured, Failure> {
        let mut streams = Vec::with_capacity(self.connections);
        for _ in 0..self.connections {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            streams.push(stream);
        }
        let begun = Instant::now();
        let (deadline, left) = match self.until {
            Until::Elapsed(length) => (Some(begun + length), u64::MAX),
            Until::Count(tickets) => (None, tickets),
        };
        let key = self.idempotent.then(uuid::Uuid::now_v7);
        let run = Rc::new(Run { deadline, left: Cell::new(left), key });
        let local = LocalSet::new();
        let numbered = streams.into_iter().enumerate();
        let clients: Vec<_> =
            numbered.map(|(number, stream)| local.spawn_local(client(number, stream, run.clone()))).collect();
        local.await;
        let elapsed = begun.elapsed();
        let mut latencies = Vec::new();
        for client in clients {
            latencies.append(&mut client.await??);
        }
        Ok(Measured {
            samples: Samples::new(latencies, elapsed),
            client_cpu: Duration::ZERO,
            service_cpu: Duration::ZERO,
            other_cpu: Duration::ZERO,
            commits: 0,
        })
    }
}

/// One connection: how long each of its tickets took, in microseconds.
async fn client(number: usize, mut stream: TcpStream, run: Rc<Run>) -> Result<Vec<u32>, String> {
    let mut latencies = Vec::new();
    let (mut request, mut answer) = (Vec::new(), Vec::with_capacity(8 * 1024));
    while run.may_send() {
        write_request(&mut request, number, latencies.len(), run.key);
        let sent = Instant::now();
        stream.write_all(&request).await.map_err(|error| format!("sending failed: {error}"))?;
        let body = read_answer(&mut stream, &mut answer).await?;
        latencies.push(micros(sent.elapsed()));
        let granted = answer.starts_with(CREATED) && find(&answer, TICKET).is_some();
        if !granted || latencies.len() == 1 && !is_ticket(&answer[body..]) {
            return Err(format!("no ticket, but {}", String::from_utf8_lossy(&answer)));
        }
    }
    Ok(latencies)
}

fn is_ticket(body: &[u8]) -> bool {
    let media: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    media["state"] == "pending" && media["upload"]["url"].as_str().is_some_and(|url| url.contains("X-Amz-Signature="))
}

fn write_request(request: &mut Vec<u8>, number: usize, count: usize, key: Option<uuid::Uuid>) {
    let (owner, length) = (number * 1000 + count % 1000, 1 + (number * 7919 + count * 104_729) % 5_000_000);
    let body = format!(r#"{{"owner":"user-{owner}","content_type":"image/jpeg","content_length":{length}}}"#);
    let key = key.map_or_else(String::new, |key| format!("Idempotency-Key: {key}-{number}-{count}\r\n"));
    request.clear();
    write!(
        request,
        "POST /v1/media HTTP/1.1\r\nHost: zeroload\r\nContent-Type: application/json\r\n{key}Content-Length: {}\r\n\r\n\
         {body}",
        body.len()
    )
    .expect("a vector takes everything");
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
    text.windows(wanted.len()).position(|window| window == wanted)
}
