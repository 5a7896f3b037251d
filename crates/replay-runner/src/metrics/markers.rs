//! Metrics in the output of tasks without a result file: the last `NAME: x` or
//! `NAME = x`, on either stream. Lines are found in a stream of any length in
//! constant memory.

use std::collections::BTreeMap;

use memchr::memmem::Finder;

/// No line with a metric is longer; what is beyond is not looked at.
const LONGEST_LINE: usize = 4096;

/// Finds the last value of each name in two interleaved streams.
#[derive(Debug)]
pub struct MarkerScanner {
    names: Vec<(String, Finder<'static>)>,
    lines: [Vec<u8>; 2],
    found: BTreeMap<String, String>,
}

impl MarkerScanner {
    /// Looks for `names`.
    pub fn new(names: &[String]) -> Self {
        Self {
            names: names
                .iter()
                .map(|name| (name.clone(), Finder::new(name).into_owned()))
                .collect(),
            lines: [Vec::new(), Vec::new()],
            found: BTreeMap::new(),
        }
    }

    /// Takes the next bytes of one of the two streams.
    pub fn push(&mut self, is_stderr: bool, chunk: &[u8]) {
        if self.names.is_empty() {
            return;
        }
        let stream = usize::from(is_stderr);
        for piece in chunk.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
            let room = LONGEST_LINE.saturating_sub(self.lines[stream].len());
            self.lines[stream].extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.ends_with(b"\n") || piece.ends_with(b"\r") {
                self.end_line(stream);
            }
        }
    }

    /// The last value of each name, as it was printed.
    pub fn found(mut self) -> BTreeMap<String, String> {
        self.end_line(0);
        self.end_line(1);
        self.found
    }

    fn end_line(&mut self, stream: usize) {
        let line = &self.lines[stream];
        for (name, finder) in &self.names {
            // Most lines of a flood have no name: they must cost next to nothing.
            if finder.find(line).is_none() {
                continue;
            }
            if let Some(value) = marker_value(&String::from_utf8_lossy(line), name) {
                self.found.insert(name.clone(), value.to_owned());
            }
        }
        self.lines[stream].clear();
    }
}

/// The value in the last `name: value` or `name = value` of `line`.
fn marker_value<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    line.match_indices(name)
        .filter_map(|(at, _)| value_after(line, at, name.len()))
        .last()
}

fn value_after(line: &str, at: usize, length: usize) -> Option<&str> {
    let is_part_of_a_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '/');
    if line[..at].ends_with(is_part_of_a_name) {
        return None;
    }
    let value = line[at + length..]
        .trim_start()
        .strip_prefix([':', '='])?
        .trim_start();
    let end = value
        .find(|c: char| c.is_whitespace() || matches!(c, ',' | ';'))
        .unwrap_or(value.len());
    (end > 0).then_some(&value[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last(chunks: &[(bool, &str)]) -> Option<String> {
        let mut scanner = MarkerScanner::new(&["loss".to_owned()]);
        for (is_stderr, chunk) in chunks {
            scanner.push(*is_stderr, chunk.as_bytes());
        }
        scanner.found().remove("loss")
    }

    #[test]
    fn the_last_marker_counts_wherever_the_stream_is_cut() {
        assert_eq!(
            last(&[(false, "loss: 1\nloss = 0.5\n")]).as_deref(),
            Some("0.5")
        );
        assert_eq!(
            last(&[(false, "lo"), (true, "loss: 7\n"), (false, "ss: 3")]).as_deref(),
            Some("3")
        );
        assert_eq!(
            last(&[(false, "step 3, loss=2, lr: 1\n")]).as_deref(),
            Some("2")
        );
    }

    #[test]
    fn a_longer_name_that_contains_the_metric_is_another_metric() {
        for line in [
            "val_loss: 1\n",
            "loss_total: 1\n",
            "x.loss: 1\n",
            "the loss was 1\n",
            "loss:\n",
        ] {
            assert_eq!(last(&[(false, line)]), None, "{line:?}");
        }
    }

    #[test]
    fn an_endless_line_is_scanned_in_constant_memory() {
        let mut scanner = MarkerScanner::new(&["loss".to_owned()]);
        for _ in 0..1000 {
            scanner.push(false, &[b'y'; 10_000]);
        }
        assert!(scanner.lines[0].capacity() <= 2 * LONGEST_LINE);
    }
}
