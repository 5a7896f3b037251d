//! The states that rows are in, as text on the wire and in the database.

use serde::Serialize;
use utoipa::ToSchema;

macro_rules! text_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
        pub enum $name {
            $($(#[$vdoc])* #[serde(rename = $text)] $variant,)+
        }

        // The derive does not see the names through this macro.
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                utoipa::openapi::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::Type::String)
                    .enum_values(Some(Self::ALL.iter().copied()))
                    .into()
            }
        }

        impl ToSchema for $name {}

        impl $name {
            /// Every value, for error messages.
            pub const ALL: &[&str] = &[$($text,)+];

            /// The text on the wire and in the database.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }

        impl std::str::FromStr for $name {
            type Err = UnknownText;

            fn from_str(text: &str) -> Result<Self, UnknownText> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err(UnknownText(text.chars().take(80).collect())),
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = UnknownText;

            fn try_from(text: String) -> Result<Self, UnknownText> {
                text.parse()
            }
        }
    };
}

/// A text that is none of the known ones.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not one of the known values")]
pub struct UnknownText(String);

text_enum! {
    /// Whether a task takes claims.
    TaskState {
        /// It does.
        Live = "live",
        /// Not now; replays go on.
        Paused = "paused",
        /// Never again.
        Closed = "closed",
    }
}

text_enum! {
    /// Where a claim is in its life.
    ClaimStatus {
        /// It can be submitted for.
        Active = "active",
        /// It was submitted for.
        Submitted = "submitted",
        /// Its owner gave it up.
        Cancelled = "cancelled",
        /// It lived for 45 minutes.
        Expired = "expired",
    }
}

text_enum! {
    /// What is decided about a submission.
    SubmissionStatus {
        /// Nothing yet.
        PendingVerification = "pending_verification",
        /// It counts.
        Accepted = "accepted",
        /// It does not.
        Rejected = "rejected",
        /// It could not be replayed; it may be submitted again.
        Error = "error",
    }
}

text_enum! {
    /// Whether the validators agree.
    ConsensusState {
        /// Too few have reported.
        Waiting = "waiting",
        /// They agree.
        Agreed = "agreed",
        /// Enough have reported, and they do not.
        Disagreement = "disagreement",
    }
}

text_enum! {
    /// What one validator said of a submission.
    VerificationStatus {
        /// It holds the job.
        Leased = "leased",
        /// It saw metrics that count.
        Accepted = "accepted",
        /// It saw a broken rule or a failure of the submission.
        Rejected = "rejected",
        /// It decided nothing.
        Error = "error",
    }
}

text_enum! {
    /// Where a planned work item is in its life.
    WorkItemStatus {
        /// Anyone may claim it.
        Open = "open",
        /// A miner's claim is linked to it.
        Claimed = "claimed",
        /// That claim was submitted for.
        Completed = "completed",
        /// The plan moved on.
        Obsolete = "obsolete",
    }
}
