//! Another configuration while the daemon runs: an edit of the file, or a model that
//! somebody asked for over the bus.
//!
//! What no worker needs to know of holds at once. For the rest the session tries a
//! worker beside the current one, and the new configuration is in force only when
//! that one takes over. Until then, and when it fails, everything stays as it was;
//! an edit stays in the file, which is the person's, and the trouble says that it
//! is not in force. The last wish counts: a new one replaces one that is tried.

use super::MainLoop;
use crate::control::dbus::Reply;
use crate::control::notify;
use crate::journal;
use crate::settings;
use crate::typist::thread;
use crate::worker::Recipe;
use swictation_control::Refused;
use swictation_core::config::Config;
use swictation_core::session::{self, About, Effect, Event};

/// A configuration that a candidate is tried for.
pub(super) struct Change {
    config: Config,
    recipe: Recipe,
    /// The model that somebody asked for and who waits for it; an edit has nobody.
    asked: Option<(String, Reply)>,
}

impl Change {
    /// How its candidate is started.
    pub(super) fn recipe(&self) -> Recipe {
        self.recipe.clone()
    }
}

impl MainLoop {
    /// The configuration file may have changed.
    pub(super) fn configured(&mut self) {
        let config = match self.read_config() {
            Some(Ok(config)) => config,
            Some(Err(why)) => {
                tracing::warn!("the old configuration stays in force: {why}");
                return self
                    .say(About::Configuration, format!("the old configuration stays in force: {why}"));
            }
            None => return,
        };
        notify::reloading();
        if self.parts.config.typist != config.typist {
            self.replace_typist(&config);
        } else if let Some(typist) = &self.parts.typist {
            typist.configure(&config);
        }
        if let Some(journal) =
            self.parts.journal.as_ref().filter(|_| self.parts.config.recovery != config.recovery)
        {
            journal.keep_in(journal::place(config.recovery));
        }
        self.parts.config = self.parts.config.with_taste_of(&config);
        self.session.retaste(super::taste(&self.parts.config));
        self.say(About::Configuration, String::new());
        let edited = |change: &Change| change.asked.is_none();
        if !self.parts.config.needs_other_worker(&config) {
            if self.change.as_ref().is_some_and(edited) {
                self.dismiss();
            }
        } else if self.change.as_ref().is_none_or(|change| change.config.needs_other_worker(&config)) {
            self.consider(config, None);
        }
        // The person may have mended what kept the engine from working.
        if self.change.is_none() && matches!(self.session.engine(), session::Engine::Failed(_)) {
            self.boot();
        }
        notify::ready("configured");
    }

    /// Somebody asks for a model, and is answered when it is in use or cannot be.
    pub(super) fn use_model(&mut self, name: String, reply: Reply) {
        match self.wanted(&name) {
            Err(refused) => drop(reply.send(Err(refused))),
            Ok(config) => {
                let works = matches!(self.session.engine(), session::Engine::Ready(_));
                self.say(About::Model, String::new());
                if works && !self.parts.config.needs_other_worker(&config) {
                    self.dismiss();
                    self.keep(&name, reply);
                } else {
                    tracing::info!("{name} is tried");
                    self.consider(config, Some((name, reply)));
                }
            }
        }
    }

    /// The file's configuration, but with the model of that name.
    fn wanted(&self, name: &str) -> Result<Config, Refused> {
        match self.read_config() {
            Some(Ok(config)) => Ok(Config { model: name.to_owned(), ..config }),
            Some(Err(why)) => Err(Refused::Configuration(format!("mend it first: {why}"))),
            None => Err(Refused::Configuration("this daemon has no configuration file".into())),
        }
    }

    fn consider(&mut self, config: Config, asked: Option<(String, Reply)>) {
        self.dismiss();
        if asked.is_none() && matches!(self.session.engine(), session::Engine::Failed(_)) {
            // There is nothing to keep, and what the file says is what is tried
            // again when the person dictates.
            self.parts.recipe = self.recipe(&config);
            self.parts.config = config;
            self.session.retaste(super::taste(&self.parts.config));
            return;
        }
        let devices = config.taste().devices;
        self.change = Some(Change { recipe: self.recipe(&config), config, asked });
        self.handle(Event::Consider(devices));
    }

    /// What is tried is not wanted any more.
    fn dismiss(&mut self) {
        let Some(change) = self.change.take() else { return };
        self.handle(Event::Dismiss);
        if let Some((name, reply)) = change.asked {
            let why = format!("{name} is not in use: another model was asked for meanwhile");
            drop(reply.send(Err(Refused::Replaced(why))));
        }
    }

    /// The candidate is the current worker from now on.
    pub(super) fn adopted(&mut self) {
        self.worker = std::mem::take(&mut self.candidate);
        let Some(change) = self.change.take() else { return };
        self.parts.config = change.config.with_taste_of(&self.parts.config);
        self.parts.recipe = change.recipe;
        self.say(About::Configuration, String::new());
        // Two models can look the same to the session and lie in different folders.
        self.publish();
        if let Some((name, reply)) = change.asked {
            self.keep(&name, reply);
        }
    }

    /// The candidate failed.
    pub(super) fn rejected(&mut self, why: &str) {
        match self.change.take().map(|change| change.asked) {
            None => {}
            Some(None) => {
                tracing::warn!("the new configuration is not in force: {why}");
                self.say(About::Configuration, format!("the new configuration is not in force: {why}"));
            }
            Some(Some((name, reply))) => {
                tracing::warn!("{name} is not in use: {why}");
                self.say(About::Model, format!("{name} is not in use: {why}"));
                drop(reply.send(Err(Refused::Model(why.to_owned()))));
            }
        }
    }

    /// Writes the choice down and answers.
    fn keep(&mut self, name: &str, reply: Reply) {
        let file = self.parts.config_file.as_deref();
        let kept = file.map_or(Ok(()), |file| settings::choose_model(file, name));
        let state = super::show::state(self.session.state());
        drop(reply.send(kept.map(|()| state).map_err(|why| {
            Refused::Configuration(format!("{name} is in use, but only until this daemon ends: {why}"))
        })));
    }

    /// What the file says, where there is one; the command line goes first.
    fn read_config(&self) -> Option<Result<Config, String>> {
        let read = settings::read_config(self.parts.config_file.as_deref()?);
        let typist = |config: Config| match &self.parts.typist_name {
            Some(name) => Config { typist: name.clone(), ..config },
            None => config,
        };
        Some(read.map(typist))
    }

    fn recipe(&self, config: &Config) -> Recipe {
        let Recipe { program, steps, log, .. } = self.parts.recipe.clone();
        Recipe::new(program, settings::model_dir(&config.model), config, steps, &log)
    }

    fn replace_typist(&mut self, config: &Config) {
        let wakes = self.wakes.clone();
        match thread::spawn(config, move |report| drop(wakes.send(super::Wake::Typed(report)))) {
            // Dropping the old one types what it still has.
            Ok(typist) => self.parts.typist = Some(typist),
            Err(error) => tracing::error!("the system gives no thread for the typist: {error}"),
        }
    }

    /// Starts an engine in the place of one that failed.
    fn boot(&mut self) {
        let mut effects = vec![Effect::Kill];
        self.session.boot(&mut effects);
        self.perform(&mut effects);
    }
}
