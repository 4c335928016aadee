//! The address under which clients reach a server: it can move to another one, and lose what passes.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

/// Ends with the test's process.
#[derive(Clone)]
pub struct Relay {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// A held question was answered.
    answered: Condvar,
}

#[derive(Default)]
struct State {
    /// The server's host and port.
    target: String,
    fault: Option<Fault>,
    /// Both ends of each connection.
    open: Vec<TcpStream>,
    held: Option<(TcpStream, Vec<u8>)>,
    late_answer: Option<Vec<u8>>,
    lost: usize,
}

/// What happens once, to the next that passes.
enum Fault {
    LoseAnswer,
    HoldQuestion,
}

impl Relay {
    pub fn to(target: impl Into<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let relay = Self { port, shared: Arc::default() };
        relay.shared.lock().target = target.into();
        let shared = relay.shared.clone();
        thread::spawn(move || listener.incoming().flatten().for_each(|client| shared.connect(client)));
        relay
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// From now on clients meet the server at this address; whoever is connected to the old one is cut off.
    pub fn move_to(&self, target: impl Into<String>) {
        let mut state = self.shared.lock();
        state.target = target.into();
        for stream in state.open.drain(..) {
            // The other side may have closed it.
            let _closed = stream.shutdown(Shutdown::Both);
        }
    }

    /// The next that a server says does not come through, and the connection is cut.
    pub fn lose_next_answer(&self) {
        self.shared.lock().fault = Some(Fault::LoseAnswer);
    }

    /// How many answers were lost.
    pub fn lost(&self) -> usize {
        self.shared.lock().lost
    }

    /// The next that a client says stays on its way, and the connection is cut for the client alone.
    pub fn hold_next_question(&self) {
        self.shared.lock().fault = Some(Fault::HoldQuestion);
    }

    /// Lets the held question arrive after all; what the server answers.
    pub fn deliver(&self) -> Vec<u8> {
        let mut state = self.shared.lock();
        let (mut server, question) = state.held.take().expect("a question was held");
        server.write_all(&question).expect("the server listens");
        loop {
            if let Some(answer) = state.late_answer.take() {
                return answer;
            }
            state = self.shared.answered.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Without a server the client is cut off at once.
    fn connect(self: &Arc<Self>, client: TcpStream) {
        let mut state = self.lock();
        let Ok(server) = TcpStream::connect(&state.target) else { return };
        let both = || Some((client.try_clone().ok()?, server.try_clone().ok()?));
        let (Some(questions), Some(answers), Some(kept)) = (both(), both(), both()) else { return };
        state.open.extend([kept.0, kept.1]);
        for stream in [&client, &server] {
            // Slower without, but as good.
            let _set = stream.set_nodelay(true);
        }
        let (asking, answering) = (self.clone(), self.clone());
        thread::spawn(move || asking.carry_questions(questions.0, questions.1));
        thread::spawn(move || answering.carry_answers(answers.1, answers.0));
    }

    fn carry_questions(&self, mut client: TcpStream, mut server: TcpStream) {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(count @ 1..) = client.read(&mut buffer) {
            let mut state = self.lock();
            if matches!(state.fault, Some(Fault::HoldQuestion)) {
                state.fault = None;
                state.held = Some((server, buffer[..count].to_vec()));
                return close(&client);
            }
            drop(state);
            if server.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        close(&client);
        close(&server);
    }

    fn carry_answers(&self, mut server: TcpStream, mut client: TcpStream) {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(count @ 1..) = server.read(&mut buffer) {
            let mut state = self.lock();
            if matches!(state.fault, Some(Fault::LoseAnswer)) {
                state.fault = None;
                state.lost += 1;
                break;
            }
            drop(state);
            if client.write_all(&buffer[..count]).is_err() {
                // Nobody waits for it any more, but perhaps whoever delivered a late question.
                self.lock().late_answer.get_or_insert_default().extend_from_slice(&buffer[..count]);
                self.answered.notify_all();
            }
        }
        close(&client);
        close(&server);
    }
}

fn close(stream: &TcpStream) {
    // It may be closed already.
    let _closed = stream.shutdown(Shutdown::Both);
}
