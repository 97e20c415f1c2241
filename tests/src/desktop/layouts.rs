//! Keyboard layouts, in the forms of the desktops.

/// Layouts with their variants.
#[derive(Clone)]
pub(super) struct Layouts(Vec<(String, String)>);

impl Layouts {
    pub(super) fn new(names: &str) -> Self {
        let split = |name: &str| match name.trim_end_matches(')').split_once('(') {
            Some((layout, variant)) => (layout.to_owned(), variant.to_owned()),
            None => (name.to_owned(), String::new()),
        };
        Self(names.split(',').map(split).collect())
    }

    /// The same with this one first.
    pub(super) fn newest(&self, number: usize) -> Self {
        let mut layouts = self.0.clone();
        let count = layouts.len();
        layouts[..=number.min(count - 1)].rotate_right(1);
        Self(layouts)
    }

    /// As xkb has them: both separated by commas.
    pub(super) fn names_and_variants(&self) -> (String, String) {
        let join =
            |part: fn(&(String, String)) -> &str| self.0.iter().map(part).collect::<Vec<_>>().join(",");
        (join(|layout| &layout.0), join(|layout| &layout.1))
    }

    /// As GNOME has them.
    pub(super) fn sources(&self) -> String {
        let source = |(layout, variant): &(String, String)| match variant.as_str() {
            "" => format!("('xkb', '{layout}')"),
            variant => format!("('xkb', '{layout}+{variant}')"),
        };
        format!("[{}]", self.0.iter().map(source).collect::<Vec<_>>().join(", "))
    }
}
