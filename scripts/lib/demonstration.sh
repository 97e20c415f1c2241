# shellcheck shell=bash disable=SC2154 # root, data, target and stage are set by whoever sources this
# Dictates a recording on the stage of headless.sh, through every part that a
# person's voice would go through: microphone, daemon, worker, window.

# follow_states: the daemon's states, one a line, from now on, in descriptor 4.
follow_states() {
    mkfifo "$stage/states"
    # For both, because a pipe with one end does not open.
    exec 4<>"$stage/states"
    start states "$target/release/swictation" status --json --follow >&4
}

# await_state SECONDS STATE...: reads until one of them is told.
await_state() {
    local patience=$1 line state deadline=$((SECONDS + $1))
    shift
    while read -r -t "$((deadline > SECONDS ? deadline - SECONDS : 1))" -u 4 line; do
        [[ $line =~ \"class\":\"trouble\" ]] && explain "$line"
        [[ $line =~ \"alt\":\"([a-z]+)\" ]] || continue
        state=${BASH_REMATCH[1]}
        [[ " $* " = *" $state "* ]] && return
    done
    explain
    fail "the daemon did not come to be $* in $patience s"
}

# What the daemon said, for whoever wants to know why.
explain() {
    [[ -z ${1:-} ]] || python3 -c 'import json, sys; print("trouble:", json.loads(sys.argv[1])["trouble"])' "$1" >&2
    sed 's/^/   swictationd: /' "$stage/daemon.log" >&2
}

dictate() {
    local recording=$1 reference=$2 daemon show play
    say 'Starting a session bus, a sound server with a virtual microphone, a screen and a terminal on it'
    enter_stage
    start daemon "$target/release/swictationd" --source default --typist x11
    daemon=$!
    await 30 'the daemon on the bus' "$target/release/swictation" status
    follow_states
    "$target/release/swictation" toggle >/dev/null || { explain; fail 'the dictation did not start'; }
    await_state 60 listening speaking

    say "Listening. $(basename "$recording") is played to the microphone; this is what arrives in the window:"
    tail -c +1 -f "$stage/typed" &
    show=$!
    started+=("$show")
    paplay --device=mic -- "$recording" 2>"$stage/play.log" &
    play=$!
    started+=("$play")
    # Waited for, because bash hears of Ctrl-C in a wait and not in a foreground command.
    wait "$play" || fail "$recording cannot be played (WAV and FLAC can): $(<"$stage/play.log")"
    "$target/release/swictation" toggle >/dev/null
    await_state 60 idle
    kill -0 "$daemon" 2>/dev/null || { explain; fail 'the daemon ended'; }
    "$target/release/swictation" status --json >"$stage/status.json"
    # tail looks once a second where the system has no better way.
    sleep 0.2
    kill "$show"
    echo
    photograph "$root/out/swictation.png"
    python3 "$root/scripts/lib/score.py" "$reference" "$stage/typed" "$stage/status.json"
    echo
    say "The picture of the window is out/swictation.png"
}
