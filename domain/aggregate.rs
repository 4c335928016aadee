//! The adapter to `cqrs-es`, so that its tools (test kit, stores, replay) work on our events.
//!
//! The service itself calls [`Media::decide`] directly: it needs positions and conflicts, which the framework hides.

use cqrs_es::{Aggregate, DomainEvent, event_sink::EventSink};

use crate::{Command, Context, Event, Media, Refusal};

impl DomainEvent for Event {
    fn event_type(&self) -> String {
        self.type_name().to_owned()
    }

    fn event_version(&self) -> String {
        self.version().to_owned()
    }
}

impl Aggregate for Media {
    const TYPE: &'static str = "media";
    type Command = Command;
    type Event = Event;
    type Error = Refusal;
    type Services = Context;

    async fn handle(&mut self, command: Command, context: &Context, sink: &EventSink<Self>) -> Result<(), Refusal> {
        for event in self.decide(command, context)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: Event) {
        Media::apply(self, event);
    }
}

#[cfg(test)]
mod tests;
