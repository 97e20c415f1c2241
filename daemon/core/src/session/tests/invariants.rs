//! Whatever happens in whatever order.

use super::*;
use proptest::prelude::*;

fn any_op() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("start"),
        Just("stop"),
        Just("toggle"),
        Just("cancel"),
        Just("at 5 start"),
        Just("at 4 stop"),
        Just("at 6 toggle"),
        Just("at 3 cancel"),
        Just("away sleep"),
        Just("away wake"),
        Just("away locking"),
        Just("away lock"),
        Just("away unlock"),
        Just("mic 130"),
        Just("mic 700"),
        Just("gap 40"),
        Just("lost"),
        Just("ended"),
        Just("ready"),
        Just("heard 300"),
        Just("heard 99999"),
        Just("think 500 a|b"),
        Just("think 900 |c d"),
        Just("last 99999 e f"),
        Just("finished"),
        Just("crash"),
        Just("killed"),
        Just("checkpoint 300"),
        Just("checkpoint 99999"),
        Just("fault device"),
        Just("fault memory"),
        Just("typed"),
        Just("refused"),
        Just("refused 2"),
        Just("elsewhere"),
        Just("hold"),
        Just("release"),
        Just("copy"),
        Just("english"),
        Just("think 900 new line|new"),
        Just("think 900 scratch that|"),
        Just("last 99999 so stop dictation"),
        Just("stays"),
        Just("step"),
        Just("ready cuda:0"),
        Just("consider"),
        Just("dismiss"),
        Just("candidate ready"),
        Just("candidate device"),
        Just("candidate model"),
        Just("candidate killed"),
        Just("+100"),
        Just("+700"),
        Just("+300000"),
    ]
    .prop_map(str::to_owned)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn whatever_happens_in_whatever_order_the_invariants_hold(ops in prop::collection::vec(any_op(), 0..60)) {
        let mut bench = bench();
        for op in &ops {
            bench.apply(op);
        }
        // After the end of everything the session is idle and asks for nothing.
        for op in ["away wake", "away unlock", "cancel", "+2000", "+2000"] {
            bench.apply(op);
        }
        prop_assert_eq!(bench.session.state(), Published::Idle);
    }
}
