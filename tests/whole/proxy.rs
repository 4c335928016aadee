//! A proxy of our own between the service and its S3 server, which makes the network bad.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp::OwnedWriteHalf},
    sync::watch,
    task::JoinHandle,
};

/// How the network is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    Fine,
    /// Everything takes this long, in each direction.
    Slow(Duration),
    /// The connection breaks when a request comes.
    Resets,
    /// The request arrives and its work is done; instead of an answer the connection breaks.
    LosesAnswers,
    /// The last bytes of the answer are missing.
    CutsAnswers,
    /// Nothing goes on to the server, and nothing comes back, for as long as the weather lasts.
    BlackHole,
    /// The request arrives and its work is done; nothing comes back for as long as the weather lasts.
    Silence,
}

/// A weather, and the HTTP method that it strikes; all of them where it is empty.
#[derive(Clone, Copy)]
struct Forecast {
    weather: Weather,
    method: &'static str,
}

/// Stands before a server until it is dropped.
pub struct Proxy {
    /// `http://` with its address.
    pub endpoint: String,
    forecast: watch::Sender<Forecast>,
    strikes: watch::Sender<usize>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Before the server at `upstream`, a host with a port.
    pub async fn before(upstream: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("it listens"));
        let forecast = watch::Sender::new(Forecast { weather: Weather::Fine, method: "" });
        let strikes = watch::Sender::new(0);
        let (forecasts, struck) = (forecast.subscribe(), strikes.clone());
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                // Without a server behind it the client's connection just ends.
                if let Ok(server) = TcpStream::connect(&upstream).await {
                    let line = Line { forecast: forecasts.clone(), strikes: struck.clone(), method: String::new() };
                    tokio::spawn(line.carry(client, server));
                }
            }
        });
        Self { endpoint, forecast, strikes, task }
    }

    /// The weather from now on, for requests of this method, or of any where it is empty.
    pub fn turns(&self, weather: Weather, method: &'static str) {
        self.strikes.send_replace(0);
        self.forecast.send_replace(Forecast { weather, method });
    }

    /// Returns when the weather has struck so many requests.
    pub async fn struck(&self, times: usize) {
        self.strikes.subscribe().wait_for(|strikes| *strikes >= times).await.expect("the proxy stands");
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One connection.
struct Line {
    forecast: watch::Receiver<Forecast>,
    strikes: watch::Sender<usize>,
    /// Of the request under way.
    method: String,
}

impl Line {
    /// Until one side, or the weather, ends it.
    async fn carry(mut self, client: TcpStream, server: TcpStream) {
        let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
            (client.into_split(), server.into_split());
        let (mut asked, mut answered) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
        loop {
            let goes_on = tokio::select! {
                read = from_client.read(&mut asked) => match read {
                    Ok(length @ 1..) => self.ask(&asked[..length], &mut to_server).await,
                    Ok(0) | Err(_) => false,
                },
                read = from_server.read(&mut answered) => match read {
                    Ok(length @ 1..) => self.answer(&answered[..length], &mut to_client).await,
                    Ok(0) | Err(_) => false,
                },
            };
            if !goes_on {
                return;
            }
        }
    }

    fn weather(&self) -> Weather {
        let forecast = *self.forecast.borrow();
        if self.method.starts_with(forecast.method) { forecast.weather } else { Weather::Fine }
    }

    fn strike(&self) {
        self.strikes.send_modify(|strikes| *strikes += 1);
    }

    /// Hangs until the weather turns.
    async fn hang(&mut self) -> bool {
        self.strike();
        let weather = self.weather();
        // A proxy that is gone ends its lines too.
        let _turned = self.forecast.wait_for(|forecast| forecast.weather != weather).await;
        false
    }

    async fn ask(&mut self, bytes: &[u8], server: &mut OwnedWriteHalf) -> bool {
        // The head of a request comes at once, and what does not begin like one is the rest of a body.
        let word = bytes.split(|byte| *byte == b' ').next().unwrap_or_default();
        if word.len() <= 7 && !word.is_empty() && word.iter().all(u8::is_ascii_uppercase) {
            self.method = String::from_utf8_lossy(word).into_owned();
        }
        match self.weather() {
            Weather::Slow(pause) => tokio::time::sleep(pause).await,
            Weather::Resets => {
                self.strike();
                return false;
            }
            Weather::BlackHole => return self.hang().await,
            Weather::Fine | Weather::LosesAnswers | Weather::CutsAnswers | Weather::Silence => {}
        }
        server.write_all(bytes).await.is_ok()
    }

    async fn answer(&mut self, bytes: &[u8], client: &mut OwnedWriteHalf) -> bool {
        match self.weather() {
            Weather::Slow(pause) => tokio::time::sleep(pause).await,
            Weather::Silence => return self.hang().await,
            Weather::LosesAnswers => {
                self.strike();
                return false;
            }
            Weather::CutsAnswers => {
                self.strike();
                // Whether it still gets through makes no difference.
                let _cut = client.write_all(&bytes[..bytes.len().saturating_sub(5)]).await;
                return false;
            }
            Weather::Fine | Weather::Resets | Weather::BlackHole => {}
        }
        client.write_all(bytes).await.is_ok()
    }
}
