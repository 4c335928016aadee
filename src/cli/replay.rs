//! `zeroload replay`.

use std::{
    collections::BTreeMap,
    io::{BufWriter, Write, stdout},
    process::ExitCode,
};

use chrono::{DateTime, SecondsFormat, Utc};
use zeroload_domain::{Media, MediaId};
use zeroload_journal::{Reader, StoredEvent, StreamKind};

use super::{Ended, output::wanted};
use crate::{
    http::{EventShape, MediaShape},
    media::{Loaded, commands::decode},
    settings::Settings,
};

const PAGE: u32 = 1000;

#[derive(clap::Args)]
pub struct Arguments {
    /// Only this item
    #[arg(long, value_name = "ID", value_parser = |raw: &str| MediaId::parse(raw).map_err(|e| e.to_string()))]
    media: Option<MediaId>,
    /// Start behind this position
    #[arg(long, value_name = "POSITION", default_value_t = 0)]
    after: u64,
    /// End with this time (RFC 3339) or position
    #[arg(long, value_name = "TIME|POSITION", value_parser = until)]
    until: Option<Until>,
    /// One Event per line, as JSON
    #[arg(long)]
    json: bool,
    /// What was true then: one Media per line, as JSON
    #[arg(long, conflicts_with_all = ["json", "after"])]
    state: bool,
}

#[derive(Clone, Copy, Debug)]
enum Until {
    Time(DateTime<Utc>),
    Position(u64),
}

fn until(raw: &str) -> Result<Until, String> {
    if let Ok(position) = raw.parse() {
        return Ok(Until::Position(position));
    }
    DateTime::parse_from_rfc3339(raw)
        .map(|time| Until::Time(time.with_timezone(&Utc)))
        .map_err(|_| "must be a position or an RFC 3339 time such as 2026-01-02T03:04:05Z".to_owned())
}

impl Until {
    fn includes(self, event: &StoredEvent) -> bool {
        match self {
            Self::Time(time) => event.recorded_at <= time,
            Self::Position(position) => event.position <= position,
        }
    }
}

pub async fn run(settings: &Settings, arguments: &Arguments) -> Ended {
    let journal = settings.database.open_reader().await?;
    let mut out = Printer { states: BTreeMap::new(), arguments, out: BufWriter::new(stdout().lock()) };
    let printed = match arguments.media {
        Some(id) => {
            let events = journal.stream(id.as_uuid()).await?;
            let wanted = events.iter().filter(|event| event.position > arguments.after);
            match wanted.map(|event| out.take(event)).find(Result::is_err) {
                Some(Err(Stop::Ended)) | None => Ok(()),
                Some(other) => other,
            }
        }
        None => print_all(&journal, arguments, &mut out).await,
    };
    match printed.and_then(|()| out.finish()) {
        // `replay | head` closes the pipe early, and wants nothing more.
        Err(Stop::Out(error)) => Ok(wanted(error).map(|()| ExitCode::SUCCESS)?),
        Err(Stop::Other(error)) => Err(error),
        Ok(()) | Err(Stop::Ended) => Ok(ExitCode::SUCCESS),
    }
}

async fn print_all(journal: &Reader, arguments: &Arguments, out: &mut Printer<'_, impl Write>) -> Result<(), Stop> {
    let head = journal.head().await.map_err(Stop::other)?.position;
    let mut after = arguments.after;
    while after < head {
        let events = journal.read(after, PAGE).await.map_err(Stop::other)?;
        let Some(last) = events.last() else { break };
        after = last.position;
        for event in &events {
            match out.take(event) {
                Err(Stop::Ended) => return Ok(()),
                other => other?,
            }
        }
    }
    Ok(())
}

enum Stop {
    /// `until` is reached.
    Ended,
    Out(std::io::Error),
    Other(Box<dyn std::error::Error + Send + Sync>),
}

impl Stop {
    fn other(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Other(error.into())
    }
}

impl From<std::io::Error> for Stop {
    fn from(error: std::io::Error) -> Self {
        Self::Out(error)
    }
}

struct Printer<'a, W: Write> {
    arguments: &'a Arguments,
    /// For `--state` only. Held whole, since an item's last event may be the journal's last.
    states: BTreeMap<uuid::Uuid, Loaded>,
    out: W,
}

impl<W: Write> Printer<'_, W> {
    fn take(&mut self, event: &StoredEvent) -> Result<(), Stop> {
        if self.arguments.until.is_some_and(|until| !until.includes(event)) {
            return Err(Stop::Ended);
        }
        if self.arguments.state {
            return self.fold(event);
        }
        if self.arguments.json {
            let shape = EventShape::of(event).ok_or_else(|| {
                Stop::Other(format!("the event at position {} is no JSON; run verify", event.position).into())
            })?;
            let line = serde_json::to_string(&shape).map_err(Stop::other)?;
            writeln!(self.out, "{line}")?;
            return Ok(());
        }
        let time = event.recorded_at.to_rfc3339_opts(SecondsFormat::Micros, true);
        let StoredEvent { position, aggregate_id, sequence, event_type, payload, .. } = event;
        writeln!(self.out, "{position:>8}  {time}  {aggregate_id}  {sequence:>3}  {event_type:<20}  {payload}")?;
        Ok(())
    }

    fn fold(&mut self, event: &StoredEvent) -> Result<(), Stop> {
        if event.kind != StreamKind::Media {
            return Ok(());
        }
        let loaded = self.states.entry(event.aggregate_id).or_insert_with(|| Loaded {
            id: event.aggregate_id.into(),
            media: Media::default(),
            sequence: 0,
            position: 0,
            is_new: false,
        });
        loaded.media.apply(decode(event).map_err(Stop::other)?);
        loaded.sequence = event.sequence;
        loaded.position = event.position;
        Ok(())
    }

    fn finish(mut self) -> Result<(), Stop> {
        for shape in self.states.values().filter_map(|loaded| MediaShape::of(loaded, None)) {
            let line = serde_json::to_string(&shape).map_err(Stop::other)?;
            writeln!(self.out, "{line}")?;
        }
        Ok(self.out.flush()?)
    }
}
