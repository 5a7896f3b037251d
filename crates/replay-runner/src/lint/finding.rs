//! What lint says: one line a rule.

use serde::Serialize;

macro_rules! rules {
    ($($variant:ident = $name:literal, $doc:literal;)+) => {
        /// A rule of the posting checklist.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Rule {
            $(#[doc = $doc] $variant,)+
        }

        impl Rule {
            /// Every rule, in the order of the checklist.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// Its stable name.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// What it asks for.
            pub const fn asks(self) -> &'static str {
                match self { $(Self::$variant => $doc,)+ }
            }
        }
    };
}

rules! {
    Pinned = "pinned", "the commit and the image are pinned and can be fetched";
    BaselineRuns = "baseline-runs", "a clean clone sets up, runs, and leaves the metric";
    Direction = "direction", "a better submission is better than the baseline, and a worse one worse";
    MetricRange = "metric-range", "the honest values of each metric are declared, and the baseline's is one";
    Headroom = "headroom", "the time budget is at least three times what the baseline takes";
    AllowedPaths = "allowed-paths", "each allowed path is there, and they are not the whole repository";
    JudgeProtected = "judge-protected", "the task file, the scorer and what it imports cannot be patched";
    ScoreStage = "score-stage", "submitted code does not share a process with the code that judges it";
    StaleResult = "stale-result", "no result and no output is committed";
    HiddenData = "hidden-data", "no private input, key or password is committed";
    SetupNetwork = "setup-network", "setup needs no network, or says so";
    Files = "files", "outputs and private inputs are consistent, and can be fetched by whoever replays";
    Onboarding = "onboarding", "there is a text for miners that says what to change and how it is judged";
    Rehearsal = "rehearsal", "standard forgeries do not score";
}

impl Serialize for Rule {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The rule holds.
    Ok,
    /// Not looked at, with the reason.
    Skipped,
    /// The author should know.
    Warning,
    /// The task is not fit to post.
    Error,
}

/// One line of the checklist.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// The rule.
    pub rule: Rule,
    /// How bad it is.
    pub severity: Severity,
    /// What was found.
    pub found: String,
    /// What to do; empty if nothing.
    pub mend: String,
}

/// Collects findings; a rule without any holds.
#[derive(Debug, Default)]
pub(crate) struct Findings(Vec<Finding>);

impl Findings {
    pub(crate) fn error(&mut self, rule: Rule, found: impl Into<String>, mend: impl Into<String>) {
        self.add(rule, Severity::Error, found, mend);
    }

    pub(crate) fn warning(
        &mut self,
        rule: Rule,
        found: impl Into<String>,
        mend: impl Into<String>,
    ) {
        self.add(rule, Severity::Warning, found, mend);
    }

    pub(crate) fn skipped(&mut self, rule: Rule, why: impl Into<String>) {
        self.add(rule, Severity::Skipped, why, "");
    }

    /// Something worth saying of a rule that holds.
    pub(crate) fn ok(&mut self, rule: Rule, found: impl Into<String>) {
        self.add(rule, Severity::Ok, found, "");
    }

    fn add(
        &mut self,
        rule: Rule,
        severity: Severity,
        found: impl Into<String>,
        mend: impl Into<String>,
    ) {
        self.0.push(Finding {
            rule,
            severity,
            found: found.into(),
            mend: mend.into(),
        });
    }

    /// In the order of the checklist, with a line for each rule that holds.
    pub(crate) fn complete(mut self) -> Vec<Finding> {
        for rule in Rule::ALL {
            if self.0.iter().all(|finding| finding.rule != *rule) {
                self.ok(*rule, rule.asks());
            }
        }
        self.0
            .sort_by_key(|finding| (finding.rule, std::cmp::Reverse(finding.severity)));
        self.0
    }
}
