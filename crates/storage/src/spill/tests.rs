//! The spill file against a map in memory, full disks, and names that go away.

use std::collections::HashMap;
use std::fs;
use std::process::Command;

use treewave_reversal::Tier;

use super::*;

#[derive(Clone, Debug, PartialEq)]
struct State(Vec<u8>, Vec<u8>);

impl Snapshot for State {
    fn copy_from(&mut self, other: &Self) {
        self.clone_from(other);
    }
    fn parts(&self) -> Vec<&[u8]> {
        vec![&self.0, &self.1]
    }
    fn parts_mut(&mut self) -> Vec<&mut [u8]> {
        vec![&mut self.0, &mut self.1]
    }
}

fn state(seed: u64, bytes: usize) -> State {
    let byte = |i: usize| (seed.wrapping_mul(31).wrapping_add(i as u64 * 7) >> 1) as u8;
    State((0..bytes).map(byte).collect(), (0..bytes / 2).map(|i| byte(i + 3)).collect())
}

fn on_disk(index: usize) -> Slot {
    Slot { tier: Tier::Disk, index }
}

#[test]
fn random_use_agrees_with_a_map_in_memory() {
    let scratch = tempfile::tempdir().unwrap();
    for bytes in [1, 100, 300_000] {
        let slots = 5;
        let mut store = SpillStore::create(scratch.path(), "a b/c", 3, slots, &state(0, bytes)).unwrap();
        let mut model: HashMap<usize, State> = HashMap::new();
        let mut random = 12345_u64;
        for round in 0..2000 {
            random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let (action, slot) = ((random >> 33) % 4, (random >> 40) as usize % slots);
            match (action, model.contains_key(&slot)) {
                (0, false) => {
                    store.put(on_disk(slot), &state(round, bytes)).unwrap();
                    model.insert(slot, state(round, bytes));
                }
                (1, true) => {
                    let mut read = state(0, bytes);
                    store.get(on_disk(slot), &mut read).unwrap();
                    assert!(read == model[&slot], "round {round}, slot {slot}, {bytes} bytes");
                }
                (2, true) => store.prefetch(on_disk(slot)).unwrap(),
                (3, true) => {
                    store.discard(on_disk(slot)).unwrap();
                    model.remove(&slot);
                }
                _ => {}
            }
        }
        assert!(store.statistics().bytes_written > 0 && store.statistics().bytes_read > 0);
    }
}

#[test]
fn the_file_has_no_name_while_it_is_used_and_is_gone_afterwards() {
    let scratch = tempfile::tempdir().unwrap();
    let mut store = SpillStore::create(scratch.path(), "run", 0, 2, &state(0, 1000)).unwrap();
    store.put(on_disk(1), &state(9, 1000)).unwrap();
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
    let mut read = state(0, 1000);
    store.get(on_disk(1), &mut read).unwrap();
    assert_eq!(read, state(9, 1000));
    drop(store);
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
}

#[test]
fn what_a_killed_process_left_is_removed_by_the_next_of_that_name_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let host: String = host.trim().chars().map(|c| if c.is_alphanumeric() { c } else { '-' }).collect();
    // Of another run, of this process, of another host, and whatever else there is.
    let dead = u32::MAX;
    let kept = [
        format!("treewave-run-more-{host}-0-{dead}-0.h5"),
        format!("treewave-run-{host}-0-{}-99.h5", std::process::id()),
        format!("treewave-run-elsewhere-0-{dead}-0.h5"),
        format!("treewave-run-{host}-model.h5"),
        format!("treewave-run-{host}-0-{dead}-0.h5.txt"),
    ];
    let left = format!("treewave-run-{host}-1-{dead}-0.h5");
    for name in kept.iter().chain([&left]) {
        fs::write(folder.path().join(name), "x").unwrap();
    }
    SpillStore::create(folder.path(), "run", 0, 1, &state(0, 8)).unwrap();
    for name in &kept {
        assert!(folder.path().join(name).exists(), "{name} is gone");
    }
    assert!(!folder.path().join(&left).exists());
}

#[test]
fn scratch_that_is_missing_too_small_or_not_a_directory_is_refused_with_its_name() {
    let scratch = tempfile::tempdir().unwrap();
    let missing = scratch.path().join("nowhere");
    let file = scratch.path().join("file");
    fs::write(&file, "x").unwrap();
    for (place, slots) in [(&missing, 1), (&file, 1), (&scratch.path().to_path_buf(), usize::MAX / 2000)] {
        let error = SpillStore::create(place, "run", 0, slots, &state(0, 1000)).err().unwrap();
        assert!(error.to_string().contains(&place.display().to_string()), "{error}");
    }
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 1, "nothing is left behind");
}

#[test]
fn a_slot_beyond_the_last_is_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let mut store = SpillStore::create(scratch.path(), "run", 0, 2, &state(0, 10)).unwrap();
    assert!(matches!(store.put(on_disk(2), &state(0, 10)), Err(StoreError::Slot { .. })));
}

#[test]
fn a_snapshot_is_right_at_every_stage_of_its_way() {
    // Large states, so that the thread is at work while the caller asks: put and get at once; put, discard and put
    // again while the first write or a stale prefetch is under way; a prefetch behind two writes.
    let scratch = tempfile::tempdir().unwrap();
    let bytes = 20_000_000;
    let mut store = SpillStore::create(scratch.path(), "run", 0, 3, &state(0, bytes)).unwrap();
    let mut read = state(0, bytes);
    for round in 0..3 {
        let states: Vec<State> = (0..3).map(|i| state(10 * round + i + 1, bytes)).collect();
        for (i, state) in states.iter().enumerate() {
            store.put(on_disk(i), state).unwrap();
        }
        store.prefetch(on_disk(0)).unwrap();
        store.prefetch(on_disk(2)).unwrap();
        for i in [2, 0, 1, 1] {
            store.get(on_disk(i), &mut read).unwrap();
            assert!(read == states[i], "round {round}, slot {i}");
        }
        store.prefetch(on_disk(1)).unwrap();
        store.discard(on_disk(1)).unwrap();
        store.put(on_disk(1), &states[0]).unwrap();
        store.get(on_disk(1), &mut read).unwrap();
        assert!(read == states[0], "round {round}: a stale prefetch was served");
        store.put(on_disk(1), &states[2]).unwrap();
        store.prefetch(on_disk(1)).unwrap();
        store.get(on_disk(1), &mut read).unwrap();
        assert!(read == states[2], "round {round}: a replaced snapshot was served");
        for i in 0..3 {
            store.discard(on_disk(i)).unwrap();
        }
    }
    let moved = state(0, bytes).bytes() as u64;
    assert_eq!((store.statistics().bytes_written, store.statistics().bytes_read), (15 * moved, 18 * moved));
}

#[test]
fn prefetches_that_nobody_fetches_stop_nothing() {
    let scratch = tempfile::tempdir().unwrap();
    let mut store = SpillStore::create(scratch.path(), "run", 0, 6, &state(0, 1000)).unwrap();
    for i in 0..6 {
        store.put(on_disk(i), &state(i as u64, 1000)).unwrap();
        store.prefetch(on_disk(i)).unwrap();
    }
    for i in (0..6).rev() {
        store.prefetch(on_disk(i)).unwrap();
    }
    let mut read = state(0, 1000);
    store.get(on_disk(3), &mut read).unwrap();
    assert_eq!(read, state(3, 1000));
}

#[test]
fn impossible_requests_are_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let mut store = SpillStore::create(scratch.path(), "run", 0, 2, &state(0, 10)).unwrap();
    let mut read = state(0, 10);
    assert!(matches!(store.get(on_disk(0), &mut read), Err(StoreError::Slot { what: "is empty", .. })));
    assert!(matches!(store.prefetch(on_disk(0)), Err(StoreError::Slot { .. })));
    assert!(matches!(store.discard(on_disk(0)), Err(StoreError::Slot { .. })));
    assert!(matches!(store.put(on_disk(0), &state(0, 12)), Err(StoreError::Slot { .. })));
    let in_memory = Slot { tier: Tier::Memory, index: 0 };
    assert!(matches!(store.put(in_memory, &state(0, 10)), Err(StoreError::Slot { .. })));
}

#[test]
fn stores_of_one_name_do_not_meet() {
    let scratch = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for seed in 0..8 {
            let folder = scratch.path();
            scope.spawn(move || {
                for _ in 0..20 {
                    let mut store = SpillStore::create(folder, "run", 0, 2, &state(0, 5000)).unwrap();
                    store.put(on_disk(0), &state(seed, 5000)).unwrap();
                    store.put(on_disk(1), &state(seed + 100, 5000)).unwrap();
                    let mut read = state(0, 5000);
                    store.get(on_disk(0), &mut read).unwrap();
                    assert_eq!(read, state(seed, 5000));
                }
            });
        }
    });
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
}

/// A file system in memory of the given size, unmounted in the end; none where mounting is not allowed.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount(size: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let option = format!("size={size}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &option, "tmpfs"]).arg(folder.path()).output();
        if mounted.is_ok_and(|out| out.status.success()) {
            return Some(SmallDisk(folder));
        }
        println!("skipped: mounting a file system is not allowed here");
        None
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).output();
    }
}

#[test]
fn a_full_disk_is_told_at_the_next_call_and_at_every_later_one() {
    let Some(disk) = SmallDisk::mount("4m") else { return };
    let bytes = 400_000; // 600,000 with the second part
    let mut store = SpillStore::create(disk.0.path(), "run", 0, 5, &state(0, bytes)).unwrap();
    store.put(on_disk(0), &state(1, bytes)).unwrap();
    let mut read = state(0, bytes);
    store.get(on_disk(0), &mut read).unwrap();
    // Another program takes the rest of the disk.
    let _ = fs::write(disk.0.path().join("other"), vec![1; 4 << 20]);
    let refused = (1..5).find_map(|i| store.put(on_disk(i), &state(i as u64, bytes)).err());
    let refused = refused.expect("the disk is full");
    let StoreError::Io { context, source } = &refused else { panic!("{refused}") };
    assert_eq!(source.kind(), io::ErrorKind::StorageFull, "{refused}");
    assert!(context.contains("600000 bytes") && context.contains("treewave-run-"), "{refused}");
    assert!(store.get(on_disk(0), &mut read).is_err(), "a store that lost a state serves no more");
    drop(store);
    let _ = fs::remove_file(disk.0.path().join("other"));
    // The space is free again: nothing holds the nameless file.
    SpillStore::create(disk.0.path(), "run", 0, 5, &state(0, bytes)).unwrap();
}
