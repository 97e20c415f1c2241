//! The sound callback allocates nothing, whatever it meets.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use swictation_daemon::audio::ring;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, counting what each thread asks of it.
struct Counting;

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.with(Cell::get);
    work();
    ALLOCATIONS.with(Cell::get) - before
}

#[test]
fn ten_thousand_callbacks_allocate_nothing_even_when_the_ring_is_full() {
    assert!(allocations(|| drop(std::hint::black_box(Box::new(1)))) == 2, "the count is blind");
    let block = [0.5f32; 480];
    // The ring holds 1000 blocks: nine of ten callbacks meet a full one.
    let (mut sink, mut drain) = ring(480_000);
    let counted = allocations(|| {
        for _ in 0..10_000 {
            sink.write(&block);
        }
    });
    assert_eq!(counted, 0);
    let mut kept = Vec::new();
    assert_eq!(drain.take(&mut kept), 9_000 * 480);
    assert_eq!(kept, [0.5; 480_000]);
}

#[test]
fn samples_of_another_type_are_converted_without_allocating() {
    let block = [i16::MIN; 480];
    let (mut sink, mut drain) = ring(480_000);
    let counted = allocations(|| {
        for _ in 0..10_000 {
            sink.write_as(&block, |sample| f32::from(sample) / 32_768.0);
        }
    });
    assert_eq!(counted, 0);
    let mut kept = Vec::new();
    drain.take(&mut kept);
    assert_eq!(kept, [-1.0; 480_000]);
}
