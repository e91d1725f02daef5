//! The strategies as games: parameters, counts, moves.

use serde_json::{Value, json};
use treewave_cluster::Failure;
use treewave_reversal::game::{
    BennettMoves, CheckpointGame, CheckpointMove, MixedGame, MixedMachine, MixedMove, OptimalCheckpoint,
    OptimalReversible, ReversibleCounts, ReversibleGame, ReversibleMove, bennett_counts, checkpoint_moves,
};
use treewave_reversal::{Action, Costs, DiskReads, MAX_STEPS, Machine, Strategy, Tier, Trajectory};

use super::board;
use crate::cli::{DiskKind, GameEnd, Pebbles, TrajectoryKind};
use crate::plot::PebbleGame;
use crate::study::misconfigured;

/// Most moves of a reversible game: a minute's worth.
const MOST_MOVES: u64 = 5_000_000_000;

/// Strategies with the options that they take.
const STRATEGIES: [(&str, &[&str]); 10] = [
    ("treeverse", &["--snapshots"]),
    ("revolve", &["--snapshots"]),
    ("bennett", &["--blocks", "--end"]),
    ("two-level", &["--memory-slots", "--disk-slots", "--costs"]),
    ("optimal-checkpoint", &["--snapshots", "--pebbles"]),
    ("optimal-reversible", &["--snapshots", "--pebbles", "--end"]),
    ("store-all", &[]),
    ("mixed", &["--snapshots"]),
    ("multistage", &["--memory-slots", "--disk-slots", "--trajectory"]),
    ("disk-revolve", &["--memory-slots", "--costs", "--disk-reads"]),
];

/// A game with its parameters.
pub(super) struct Game {
    strategy: &'static str,
    steps: usize,
    player: Player,
}

enum Player {
    /// A schedule, and the costs that it is for.
    Schedule(Strategy, Option<Costs>),
    OptimalCheckpoint(OptimalCheckpoint),
    Mixed(MixedGame),
    Bennett {
        blocks: usize,
        end: Option<GameEnd>,
    },
    OptimalReversible {
        player: OptimalReversible,
        clean: bool,
    },
}

impl Game {
    /// The game that was asked for.
    ///
    /// # Errors
    /// Code 2 for an unknown strategy, options missing or too many, parameters that do not fit.
    pub(super) fn new(arguments: &Pebbles) -> Result<Self, Failure> {
        let asked = Asked { arguments, strategy: known(arguments)? };
        let steps = arguments.steps.ok_or_else(|| misconfigured("pebbles needs --steps"))?;
        if steps == 0 || steps > MAX_STEPS {
            return Err(misconfigured(format!("--steps {steps}: give 1 to {MAX_STEPS}")));
        }
        let player = asked.player(steps)?;
        if let Player::Schedule(strategy, _) = &player {
            strategy.schedule(steps).map_err(misconfigured)?;
        }
        Ok(Game { strategy: asked.strategy, steps, player })
    }

    /// Strategy and size, for people.
    pub(super) fn title(&self) -> String {
        format!("{}, {} steps", self.strategy, self.steps)
    }

    /// Whether it is the reversible game.
    pub(super) fn is_reversible(&self) -> bool {
        matches!(self.player, Player::Bennett { .. } | Player::OptimalReversible { .. })
    }

    /// Plays by the rules and counts.
    ///
    /// # Errors
    /// Code 2 for a game that takes too long.
    pub(super) fn counts(&self) -> Result<Value, Failure> {
        const LEGAL: &str = "players make legal moves only";
        let (strategy, steps) = (self.strategy, self.steps);
        let mut object = json!({ "strategy": strategy, "steps": steps });
        let more = match &self.player {
            Player::Schedule(strategy, costs) => {
                let counts = Machine::play(steps, schedule(strategy, steps)).expect(LEGAL);
                let mut more = json!({
                    "advances": counts.advances,
                    "total_forward": counts.total_forward(),
                    "reverse_steps": counts.pulled_back,
                    "peak_states": counts.peak_states(),
                    "stores": counts.stores_after_initial(),
                    "restores": counts.restores.total(),
                    "stores_disk": counts.stores.disk,
                    "restores_disk": counts.restores.disk,
                });
                if let Some(costs) = costs {
                    more["cost"] = json!(counts.cost(costs));
                }
                more
            }
            Player::OptimalCheckpoint(player) => {
                let counts = CheckpointGame::play(steps, steps, player.moves()).expect(LEGAL);
                json!({
                    "advances": counts.puts,
                    "total_forward": counts.puts + counts.paints,
                    "reverse_steps": counts.paints,
                    "peak_states": counts.peak_pebbles,
                    "stores": counts.puts,
                    "restores": 0,
                })
            }
            Player::Mixed(player) => {
                let counts = MixedMachine::play(steps, steps, player.moves()).expect(LEGAL);
                json!({
                    "advances": counts.advances,
                    "total_forward": counts.total_forward(),
                    "reverse_steps": counts.pulled_back,
                    "peak_states": counts.peak_units,
                    "stores": counts.states_kept + counts.data_kept,
                    "restores": counts.restores,
                    "data_stores": counts.data_kept,
                })
            }
            Player::Bennett { blocks, end } => {
                let clean = *end == Some(GameEnd::Clean);
                let counts = self.reversible(clean);
                let whole = bennett_counts(steps, *blocks, true);
                let mut more = reversible_json(&counts);
                more["clean_total_steps"] = json!(whole.total());
                more["clean_peak_states"] = json!(whole.peak_pebbles);
                more["steps_until_n_first_reached"] = json!(whole.until_reached);
                more
            }
            Player::OptimalReversible { player, clean } => {
                let mut more = reversible_json(&self.reversible(*clean));
                more["moves_until_n_first_occupied"] = json!(player.moves_until_reached());
                more["moves_clean"] = json!(player.moves_clean());
                more
            }
        };
        let (all, more) = (object.as_object_mut(), more);
        let (Some(all), Value::Object(more)) = (all, more) else { return Ok(object) };
        all.extend(more);
        Ok(object)
    }

    fn reversible(&self, clean: bool) -> ReversibleCounts {
        let game = ReversibleGame::play(self.steps, self.steps, clean, self.reversible_moves());
        game.expect("players make legal moves only")
    }

    /// The moves of the reversible game; none if it is another one.
    fn reversible_moves(&self) -> Box<dyn Iterator<Item = ReversibleMove> + '_> {
        match &self.player {
            Player::Bennett { blocks, end } => {
                let reached = bennett_counts(self.steps, *blocks, true).until_reached as usize;
                let moves = BennettMoves::new(self.steps, *blocks, *end == Some(GameEnd::Clean));
                Box::new(moves.take(if *end == Some(GameEnd::Reached) { reached } else { usize::MAX }))
            }
            Player::OptimalReversible { player, clean } => Box::new(player.moves(*clean).into_iter().flatten()),
            _ => Box::new(std::iter::empty()),
        }
    }

    /// The actions or moves in words.
    pub(super) fn lines(&self) -> Box<dyn Iterator<Item = String> + '_> {
        match &self.player {
            Player::Schedule(strategy, _) => {
                Box::new(schedule(strategy, self.steps).map(|action| action_line(&action)))
            }
            Player::OptimalCheckpoint(player) => Box::new(player.moves().map(|one| match one {
                CheckpointMove::Put(square) => format!("put {square}"),
                CheckpointMove::Take(square) => format!("take {square}"),
                CheckpointMove::Paint(square) => format!("paint {square}"),
            })),
            Player::Mixed(player) => Box::new(player.moves().map(|one| mixed_line(&one))),
            Player::Bennett { .. } | Player::OptimalReversible { .. } => {
                let line = |one: ReversibleMove| format!("{} {}", if one.put { "put" } else { "remove" }, one.square);
                Box::new(self.reversible_moves().map(line))
            }
        }
    }

    /// The game as a picture shows it.
    pub(super) fn board(&self, title: &str) -> PebbleGame {
        let checkpoint = |moves: &mut dyn Iterator<Item = CheckpointMove>| board::checkpoint(title, self.steps, moves);
        match &self.player {
            Player::Schedule(strategy, _) => checkpoint(&mut checkpoint_moves(schedule(strategy, self.steps))),
            Player::OptimalCheckpoint(player) => checkpoint(&mut player.moves()),
            Player::Mixed(player) => checkpoint(&mut player.checkpoint_moves().into_iter()),
            Player::Bennett { .. } | Player::OptimalReversible { .. } => {
                board::reversible(title, self.steps, self.reversible_moves())
            }
        }
    }
}

fn schedule(strategy: &Strategy, steps: usize) -> treewave_reversal::Schedule {
    strategy.schedule(steps).expect("it was made before")
}

fn reversible_json(counts: &ReversibleCounts) -> Value {
    json!({
        "advances": counts.forward,
        "total_forward": counts.total(),
        "reverse_steps": counts.reverse,
        "peak_states": counts.peak_pebbles,
        "stores": counts.forward,
        "restores": 0,
    })
}

/// The strategy that was asked for, if it takes the options that were given.
fn known(arguments: &Pebbles) -> Result<&'static str, Failure> {
    let all = || STRATEGIES.map(|(name, _)| name).join(", ");
    let Some(asked) = &arguments.strategy else {
        return Err(misconfigured(format!("pebbles needs --strategy, one of {}", all())));
    };
    let found = STRATEGIES.into_iter().find(|(name, _)| name == asked);
    let (name, options) =
        found.ok_or_else(|| misconfigured(format!("there is no strategy {asked:?}; there are {}", all())))?;
    let given = [
        ("--snapshots", arguments.snapshots.is_some()),
        ("--pebbles", arguments.pebbles.is_some()),
        ("--blocks", arguments.blocks.is_some()),
        ("--end", arguments.end.is_some()),
        ("--memory-slots", arguments.memory_slots.is_some()),
        ("--disk-slots", arguments.disk_slots.is_some()),
        ("--costs", !arguments.costs.is_empty()),
        ("--trajectory", arguments.trajectory.is_some()),
        ("--disk-reads", arguments.disk_reads.is_some()),
    ];
    match given.into_iter().find(|(option, given)| *given && !options.contains(option)) {
        None => Ok(name),
        Some((option, _)) => {
            let takes = if options.is_empty() { "none".to_string() } else { options.join(", ") };
            Err(misconfigured(format!("--strategy {name} has no option {option}; it takes {takes}")))
        }
    }
}

/// The options of a strategy.
struct Asked<'a> {
    arguments: &'a Pebbles,
    strategy: &'static str,
}

impl Asked<'_> {
    fn player(&self, steps: usize) -> Result<Player, Failure> {
        let arguments = self.arguments;
        let schedule = |strategy| Ok(Player::Schedule(strategy, None));
        let snapshots = || self.needed("--snapshots", arguments.snapshots);
        let memory_slots = || self.needed("--memory-slots", arguments.memory_slots);
        match self.strategy {
            "treeverse" => schedule(Strategy::Treeverse { snapshots: snapshots()? }),
            "revolve" => schedule(Strategy::Revolve { snapshots: snapshots()? }),
            "store-all" => schedule(Strategy::StoreAll),
            "two-level" => {
                let (memory_slots, costs) = (memory_slots()?, self.costs()?);
                let strategy = Strategy::TwoLevel { memory_slots, disk_slots: arguments.disk_slots, costs };
                Ok(Player::Schedule(strategy, Some(costs)))
            }
            "multistage" => {
                let trajectory = match arguments.trajectory {
                    Some(TrajectoryKind::Revolve) => Trajectory::Revolve,
                    Some(TrajectoryKind::Maximum) | None => Trajectory::Maximum,
                };
                let disk_slots = self.needed("--disk-slots", arguments.disk_slots)?;
                schedule(Strategy::Multistage { memory_slots: memory_slots()?, disk_slots, trajectory })
            }
            "disk-revolve" => {
                let reads = match arguments.disk_reads {
                    Some(DiskKind::Once) => DiskReads::Once,
                    Some(DiskKind::Periodic) => DiskReads::Periodic,
                    Some(DiskKind::Many) | None => DiskReads::Many,
                };
                let (memory_slots, costs) = (memory_slots()?, self.costs()?);
                Ok(Player::Schedule(Strategy::DiskRevolve { memory_slots, costs, reads }, Some(costs)))
            }
            "mixed" => Ok(Player::Mixed(MixedGame::new(steps, snapshots()?).map_err(misconfigured)?)),
            "optimal-checkpoint" => {
                let player = OptimalCheckpoint::new(steps, self.pebbles()?).map_err(misconfigured)?;
                Ok(Player::OptimalCheckpoint(player))
            }
            "optimal-reversible" => {
                let player = OptimalReversible::new(steps, self.pebbles()?).map_err(misconfigured)?;
                let clean = arguments.end == Some(GameEnd::Clean);
                player.moves(clean).map(drop).map_err(misconfigured)?;
                Ok(Player::OptimalReversible { player, clean })
            }
            _ => self.bennett(steps),
        }
    }

    fn bennett(&self, steps: usize) -> Result<Player, Failure> {
        let blocks = self.needed("--blocks", self.arguments.blocks)?;
        if blocks < 2 {
            return Err(misconfigured(format!("--blocks {blocks}: give at least 2")));
        }
        let moves = bennett_counts(steps, blocks, true).total();
        if moves > MOST_MOVES {
            return Err(misconfigured(format!(
                "bennett takes {moves} moves for {steps} steps by {blocks} blocks, more than the {MOST_MOVES} that are \
                 played; give fewer steps or more blocks"
            )));
        }
        Ok(Player::Bennett { blocks, end: self.arguments.end })
    }

    fn needed<T>(&self, option: &str, value: Option<T>) -> Result<T, Failure> {
        value.ok_or_else(|| misconfigured(format!("--strategy {} needs {option}", self.strategy)))
    }

    /// Pebbles besides the one on the first square.
    fn pebbles(&self) -> Result<usize, Failure> {
        match (self.arguments.pebbles, self.arguments.snapshots) {
            (Some(pebbles), None) => Ok(pebbles),
            (None, Some(snapshots)) if snapshots > 0 => Ok(snapshots - 1),
            (None, Some(_)) => Err(misconfigured("--snapshots 0: the initial state counts, give at least 1")),
            (Some(_), Some(_)) => Err(misconfigured("give --snapshots or --pebbles, which is one less, not both")),
            (None, None) => Err(misconfigured(format!("--strategy {} needs --snapshots or --pebbles", self.strategy))),
        }
    }

    fn costs(&self) -> Result<Costs, Failure> {
        match self.arguments.costs[..] {
            [advance, adjoint, write, read] => Ok(Costs { advance, adjoint, write, read }),
            _ => {
                let strategy = self.strategy;
                Err(misconfigured(format!("--strategy {strategy} needs --costs UF,UB,WD,RD (four numbers)")))
            }
        }
    }
}

/// An action in words.
fn action_line(action: &Action) -> String {
    let tier = |tier| if tier == Tier::Memory { "memory" } else { "disk" };
    match *action {
        Action::Store { step, slot } => format!("store {step} {} {}", tier(slot.tier), slot.index),
        Action::Restore { step, slot } => format!("restore {step} {} {}", tier(slot.tier), slot.index),
        Action::Advance { from, to } => format!("advance {from} {to}"),
        Action::Reverse { from, to } => format!("reverse {from} {to}"),
        Action::Discard { slot } => format!("discard {} {}", tier(slot.tier), slot.index),
        Action::Uncompute { step, slot } => format!("uncompute {step} {} {}", tier(slot.tier), slot.index),
    }
}

/// A move of the mixed game in words.
fn mixed_line(one: &MixedMove) -> String {
    match *one {
        MixedMove::KeepState { step, unit } => format!("keep-state {step} {unit}"),
        MixedMove::KeepData { step, unit } => format!("keep-data {step} {unit}"),
        MixedMove::Advance { from, to } => format!("advance {from} {to}"),
        MixedMove::Restore { step, unit } => format!("restore {step} {unit}"),
        MixedMove::Free { unit } => format!("free {unit}"),
        MixedMove::Reverse { step } => format!("reverse {step} {}", step + 1),
        MixedMove::PullBack { step, unit } => format!("pull-back {step} {unit}"),
    }
}
