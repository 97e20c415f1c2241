//! The thread that types: edits in, reports out, in the same order.
//!
//! It owns the typist, which it opens at the first edit or when told to prepare,
//! and blocks on its queue while there is nothing to do. A lost connection is
//! opened again once for each edit, and the rest of the text continues where the
//! confirmed part ended. It never drops an edit without a report and never decides
//! what becomes of a text that could not be typed.

use super::{Typist, TypistError};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;
use swictation_core::Edit;
use swictation_core::edit::typeable;

/// What became of an edit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The number the edit was sent with.
    pub id: u64,
    /// `Err` says, for the user, why the edit was not applied or not as a whole.
    pub result: Result<(), String>,
    /// The typist's name; empty while none could be opened.
    pub typist: &'static str,
}

/// The sending end. Dropping it types what is queued, then ends the thread.
pub struct TypistThread {
    orders: Option<Sender<Order>>,
    thread: Option<JoinHandle<()>>,
}

enum Order {
    Prepare,
    Apply(u64, Edit),
}

/// Starts the thread; `name` is what the configuration calls the typist, or "auto".
/// `reports` is called on the thread, once for each edit.
///
/// # Errors
/// The system's refusal to start a thread.
pub fn spawn(name: String, reports: impl Fn(Report) + Send + 'static) -> std::io::Result<TypistThread> {
    spawn_with(move || super::open(&name), reports)
}

/// As [`spawn`], with another way to open the typist.
///
/// # Errors
/// The system's refusal to start a thread.
pub fn spawn_with(
    open: impl FnMut() -> Result<Box<dyn Typist>, TypistError> + Send + 'static,
    reports: impl Fn(Report) + Send + 'static,
) -> std::io::Result<TypistThread> {
    let (orders, queue) = mpsc::channel();
    let thread =
        std::thread::Builder::new().name("typist".into()).spawn(move || run(&queue, open, &reports))?;
    Ok(TypistThread { orders: Some(orders), thread: Some(thread) })
}

impl TypistThread {
    /// Queues an edit; its report carries `id`.
    pub fn send(&self, id: u64, edit: Edit) {
        self.order(Order::Apply(id, edit));
    }

    /// Opens the typist now, so that the first word need not wait for it. A failure
    /// is reported with the first edit, which tries again.
    pub fn prepare(&self) {
        self.order(Order::Prepare);
    }

    fn order(&self, order: Order) {
        // The thread ends only after this end of the queue is dropped.
        if self.orders.as_ref().is_some_and(|orders| orders.send(order).is_err()) {
            tracing::error!("the typist thread is gone");
        }
    }
}

impl Drop for TypistThread {
    fn drop(&mut self) {
        self.orders.take();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the typist thread panicked");
        }
    }
}

fn run(
    queue: &Receiver<Order>,
    mut open: impl FnMut() -> Result<Box<dyn Typist>, TypistError>,
    reports: &impl Fn(Report),
) {
    let mut typist = None;
    for order in queue {
        match order {
            Order::Prepare => {
                if typist.is_none() {
                    typist = open().inspect_err(|e| tracing::warn!("typing is not possible yet: {e}")).ok();
                }
            }
            Order::Apply(id, edit) => {
                let result = apply(&mut typist, &mut open, edit).map_err(|e| e.to_string());
                let typist = typist.as_ref().map_or("", |typist| typist.name());
                reports(Report { id, result, typist });
            }
        }
    }
}

/// Applies the edit, opening the typist when there is none, and once more when it
/// is lost on the way.
fn apply(
    typist: &mut Option<Box<dyn Typist>>,
    open: &mut impl FnMut() -> Result<Box<dyn Typist>, TypistError>,
    edit: Edit,
) -> Result<(), TypistError> {
    let first = attempt(typist, open, &edit);
    let Err(TypistError::Lost { typed, reason }) = first else { return first };
    // How much was erased is not known: erasing again could take the user's text.
    if edit.erase > 0 && typed == 0 {
        return Err(TypistError::Lost { typed, reason });
    }
    tracing::warn!("{reason}; opening the typist again");
    let rest = Edit { erase: 0, insert: typeable(&edit.insert).chars().skip(typed).collect() };
    attempt(typist, open, &rest).map_err(|e| match e {
        TypistError::Lost { typed: more, reason } => TypistError::Lost { typed: typed + more, reason },
        TypistError::Unavailable(why) => {
            TypistError::Lost { typed, reason: format!("{reason}; then: {why}") }
        }
    })
}

fn attempt(
    typist: &mut Option<Box<dyn Typist>>,
    open: &mut impl FnMut() -> Result<Box<dyn Typist>, TypistError>,
    edit: &Edit,
) -> Result<(), TypistError> {
    let current = match typist {
        Some(current) => current,
        None => typist.insert(open()?),
    };
    let result = current.apply(edit);
    if matches!(result, Err(TypistError::Lost { .. })) {
        *typist = None;
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    /// A window's text, shared by the typists that are opened on it.
    type Window = Arc<Mutex<String>>;

    /// Types into the window and is lost after `lasts` characters.
    struct Frail {
        window: Window,
        lasts: usize,
    }

    impl Typist for Frail {
        fn name(&self) -> &'static str {
            "frail"
        }
        fn apply(&mut self, edit: &Edit) -> Result<(), TypistError> {
            let mut window = self.window.lock().unwrap();
            if self.lasts == 0 {
                return Err(TypistError::Lost { typed: 0, reason: "gone".into() });
            }
            for _ in 0..edit.erase {
                window.pop();
            }
            for (typed, c) in edit.insert.chars().enumerate() {
                if self.lasts == 0 {
                    return Err(TypistError::Lost { typed, reason: "gone".into() });
                }
                self.lasts -= 1;
                window.push(c);
            }
            Ok(())
        }
    }

    /// Sends the edits to typists that last so many characters each, and returns
    /// the window's text and the reports. `None` is a failure to open.
    fn typed(lives: &'static [Option<usize>], edits: &[(usize, &str)]) -> (String, Vec<Result<(), String>>) {
        let window = Window::default();
        let (mut lives, shared) = (lives.iter().copied(), window.clone());
        let open = move || match lives.next().flatten() {
            Some(lasts) => Ok(Box::new(Frail { window: shared.clone(), lasts }) as Box<dyn Typist>),
            None => Err(TypistError::Unavailable("not here".into())),
        };
        let (send, reports) = mpsc::channel();
        let thread = spawn_with(open, move |report| send.send(report).unwrap()).unwrap();
        for (id, (erase, insert)) in edits.iter().enumerate() {
            thread.send(id as u64, Edit { erase: *erase, insert: (*insert).into() });
        }
        drop(thread);
        let reports: Vec<Report> = reports.iter().collect();
        assert!(
            reports.iter().map(|r| r.id).eq(0..edits.len() as u64),
            "each edit is reported once, in order"
        );
        let text = window.lock().unwrap().clone();
        (text, reports.into_iter().map(|r| r.result).collect())
    }

    #[test]
    fn edits_are_applied_and_reported_in_order_before_the_thread_ends() {
        let (text, reports) = typed(&[Some(100)], &[(0, "Hello "), (0, "world"), (5, "moon")]);
        assert_eq!((text.as_str(), reports), ("Hello moon", vec![Ok(()); 3]));
    }

    #[test]
    fn a_lost_connection_is_opened_again_and_the_text_continues() {
        let (text, reports) = typed(&[Some(4), Some(100)], &[(0, "Grüße "), (0, "you")]);
        assert_eq!((text.as_str(), reports), ("Grüße you", vec![Ok(()); 2]));
    }

    #[test]
    fn a_second_loss_is_reported_with_all_that_was_typed() {
        let (text, reports) = typed(&[Some(3), Some(3), Some(9)], &[(0, "abcdefghi"), (0, "!")]);
        assert_eq!(text, "abcdef!");
        assert_eq!(reports, [Err("gone (after 6 characters)".into()), Ok(())]);
    }

    #[test]
    fn an_unavailable_typist_leaves_the_text_untouched_and_is_tried_again() {
        let (text, reports) = typed(&[None, Some(9)], &[(0, "one"), (0, "two")]);
        assert_eq!((text.as_str(), reports), ("two", vec![Err("not here".into()), Ok(())]));
    }

    #[test]
    fn an_erasure_is_never_repeated_when_nobody_knows_how_far_it_came() {
        let (text, reports) = typed(&[Some(3), Some(9)], &[(0, "abc"), (2, "x"), (0, "!")]);
        assert_eq!(text, "abc!");
        assert_eq!(reports, [Ok(()), Err("gone (after 0 characters)".into()), Ok(())]);
    }

    #[test]
    fn preparing_opens_the_typist_once_and_without_a_report() {
        let (opened, reported) = (Arc::new(Mutex::new(0)), Arc::new(Mutex::new(0)));
        let (count, reports) = (opened.clone(), reported.clone());
        let open = move || {
            *count.lock().unwrap() += 1;
            Ok(Box::new(Frail { window: Window::default(), lasts: 9 }) as Box<dyn Typist>)
        };
        let thread = spawn_with(open, move |_| *reports.lock().unwrap() += 1).unwrap();
        thread.prepare();
        thread.prepare();
        drop(thread);
        assert_eq!((*opened.lock().unwrap(), *reported.lock().unwrap()), (1, 0));
    }
}
