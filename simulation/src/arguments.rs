//! What was asked for.

use crate::defects::DEFECTS;

/// What `--help` says.
pub(crate) const HELP: &str = "\
npm run simulate -- [options]

  --seeds N      this many seeds, each in a process of its own (default 100)
  --from N       the first of them (default 1)
  --jobs N       this many at a time (default: as many as there are cores)
  --seed N       one seed, in this process: prints its plan and its verdict
  --plan FILE    the same with a plan that was kept
  --trace FILE   with --seed or --plan: writes the whole history there
  --shrink FILE  with --seed or --plan: leaves out what it does not need to fail, and writes there what remains
  --plant NAME   with a planted defect; succeeds when a seed catches it
  --defects      with every defect that can be planted, one after the other
  --list-defects their names, each with the first seed that catches it
";

/// Where a plan comes from.
#[derive(Debug)]
pub(crate) enum Source {
    Seed(u64),
    File(String),
}

/// One world.
#[derive(Debug)]
pub(crate) struct One {
    pub(crate) source: Source,
    pub(crate) trace: Option<String>,
    pub(crate) plant: Option<String>,
    /// Says nothing but the verdict: somebody counts.
    pub(crate) quiet: bool,
}

/// Many of them.
#[derive(Debug)]
pub(crate) struct Many {
    pub(crate) seeds: u64,
    pub(crate) from: u64,
    pub(crate) jobs: usize,
    /// The defects to be caught; none: there is to be nothing.
    pub(crate) plants: Vec<String>,
}

/// What to do.
#[derive(Debug)]
pub(crate) enum Arguments {
    One(One),
    /// Of a world that fails, into this file.
    Shrink(One, String),
    Many(Many),
    List,
    Help,
}

impl Arguments {
    /// Those of this process.
    pub(crate) fn read() -> Result<Self, lexopt::Error> {
        use lexopt::prelude::{Long, ValueExt};
        let mut one = One { source: Source::Seed(0), trace: None, plant: None, quiet: false };
        let jobs = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let mut many = Many { seeds: 100, from: 1, jobs, plants: Vec::new() };
        let (mut single, mut shrink) = (false, None);
        let mut parser = lexopt::Parser::from_env();
        while let Some(argument) = parser.next()? {
            match argument {
                Long("seed") => (single, one.source) = (true, Source::Seed(parser.value()?.parse()?)),
                Long("plan") => (single, one.source) = (true, Source::File(parser.value()?.string()?)),
                Long("trace") => one.trace = Some(parser.value()?.string()?),
                Long("plant") => {
                    let name = parser.value()?.string()?;
                    one.plant = Some(name.clone());
                    many.plants.push(name);
                }
                Long("shrink") => shrink = Some(parser.value()?.string()?),
                Long("defects") => many.plants = DEFECTS.iter().map(|&(name, _)| name.to_owned()).collect(),
                Long("list-defects") => return Ok(Self::List),
                Long("quiet") => one.quiet = true,
                Long("seeds") => many.seeds = parser.value()?.parse()?,
                Long("from") => many.from = parser.value()?.parse()?,
                Long("jobs") => many.jobs = parser.value()?.parse::<usize>()?.max(1),
                Long("help") => return Ok(Self::Help),
                other => return Err(other.unexpected()),
            }
        }
        Ok(match shrink {
            Some(file) if single => Self::Shrink(one, file),
            _ if single => Self::One(one),
            _ => Self::Many(many),
        })
    }
}
