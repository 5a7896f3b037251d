//! Why replays differ, in words, and what to do about it.

use serde::{Deserialize, Serialize};

use super::variation::{Reach, Variation};

macro_rules! causes {
    ($($variant:ident = $name:literal, $title:literal, $hint:literal;)+) => {
        /// Why replays differ.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Cause {
            $(#[doc = $title] $variant,)+
        }

        impl Cause {
            /// Its stable name in reports.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// It as a line for a person.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)+ }
            }

            /// What to do.
            pub const fn hint(self) -> &'static str {
                match self { $(Self::$variant => $hint,)+ }
            }
        }
    };
}

causes! {
    UnseededRandomness = "unseeded_randomness", "an unseeded random generator",
        "give every generator a fixed seed: random.seed(0), numpy.random.default_rng(0), torch.manual_seed(0), srand(1); do not take names or keys from uuid4 or mkdtemp into the result";
    HashOrder = "hash_order", "the order of a set or dictionary, which follows the hash seed",
        "sort before iterating over a set, or use a list or dict.fromkeys; nothing that is scored may depend on hash()";
    ThreadCount = "thread_count", "the number of threads, mostly by the order in which partial sums are added",
        "fix the number of threads in the program itself, or add in a fixed order (math.fsum, integers, one thread); round what is reported";
    Time = "time", "the clock or the speed of the machine",
        "keep times and dates out of the result, train for a number of steps and not of seconds; for speed use a supervisor metric, which is measured outside";
    Hostname = "hostname", "the host's name",
        "keep the host's name out of the result, of seeds and of file names";
    User = "user", "the user id",
        "do not use the user's id or name; it is another one on other cores";
    TimeZone = "time_zone", "the time zone",
        "compute dates in UTC: datetime.now(timezone.utc), gmtime in place of localtime";
    Locale = "locale", "the locale: how text is decoded, sorted, or numbers are read",
        "name the encoding (open(..., encoding=\"utf-8\")), do not call setlocale, sort bytes; set LC_ALL in validator_benchmark_env if a tool needs it";
    Umask = "umask", "the mask for new files",
        "set the modes of the files you need (chmod, install -m); the mask is the host's";
    Environment = "environment", "the environment's order or size",
        "look variables up by name; if a C program differs, it reads memory that it never wrote: run it with -fsanitize=address,undefined or valgrind";
    Path = "path", "the path of the work tree",
        "use paths relative to the work tree, and build with -ffile-prefix-map if paths get into the result";
    DirectoryOrder = "directory_order", "the order in which a directory lists its files",
        "sort what os.listdir, glob, readdir and `find` give: sorted(os.listdir(...))";
    CpuCount = "cpu_count", "the number of processor cores",
        "do not cut work by os.cpu_count() or nproc; take a fixed number of parts, whatever runs them";
    CpuPinning = "cpu_pinning", "which cores it runs on",
        "code that chooses by processor must give the same result on each; check for races as well";
    Memory = "memory", "the memory limit",
        "take sizes of batches and caches from a constant, not from the memory that is there";
    Addresses = "addresses", "the addresses of things in memory",
        "do not print, hash or sort by addresses: %p, id(), the default repr and hash of objects, pointers in what is written";
    UninitialisedMemory = "uninitialised_memory", "memory that is read before it is written",
        "find the read with -fsanitize=memory or valgrind; use calloc or initialise; numpy.empty is not numpy.zeros";
    Race = "race", "a race between processes or threads",
        "wait for each other (join, wait, a lock) before the result is read, and combine partial results in a fixed order";
    Combination = "combination", "several conditions together",
        "try the variations in groups with --vary to find which ones it takes";
}

impl Cause {
    /// What it means that `variation`, and nothing else, changed the answer, or
    /// was the only thing that made it steady.
    pub const fn of(variation: Variation) -> Self {
        match variation {
            Variation::Hostname => Self::Hostname,
            Variation::User => Self::User,
            Variation::TimeZone => Self::TimeZone,
            Variation::Locale => Self::Locale,
            Variation::Umask => Self::Umask,
            Variation::Environment => Self::Environment,
            Variation::Path => Self::Path,
            Variation::DirectoryOrder => Self::DirectoryOrder,
            Variation::Clock | Variation::Speed => Self::Time,
            Variation::CpuCount => Self::CpuCount,
            Variation::CpuPinning => Self::CpuPinning,
            Variation::Memory => Self::Memory,
            Variation::Addresses => Self::Addresses,
            Variation::HashSeed => Self::HashOrder,
            Variation::Threads => Self::ThreadCount,
            Variation::Entropy => Self::UnseededRandomness,
            Variation::FreshMemory => Self::UninitialisedMemory,
            Variation::Neighbour => Self::Race,
        }
    }

    /// Whether honest hosts can differ in it.
    pub fn reach(self) -> Reach {
        let held = Variation::ALL
            .iter()
            .filter(|variation| Self::of(**variation) == self)
            .all(|variation| variation.reach() == Reach::HeldByEngine);
        let known = Variation::ALL.iter().any(|one| Self::of(*one) == self);
        if known && held {
            Reach::HeldByEngine
        } else {
            Reach::DiffersBetweenHosts
        }
    }
}
