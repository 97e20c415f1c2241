# shellcheck shell=bash disable=SC2154 # root, data, target and stage are set by whoever sources this
# A desktop without hardware: a private session bus, a private sound server whose
# microphone is what is played to it, a screen in memory, and a terminal on it
# that shows what it is typed and writes it to $stage/typed.
#
# Everything started is in $started and ends with `leave_stage`, also on Ctrl-C.

started=()

# start NAME COMMAND...: in the background; its number is in $!, what it says goes
# to $stage/NAME.log.
start() {
    local name=$1
    shift
    "$@" 2>"$stage/$name.log" &
    started+=($!)
}

leave_stage() {
    local i
    # The newest first, so that nothing sees its server vanish.
    for ((i = ${#started[@]} - 1; i >= 0; i--)); do
        kill "${started[i]}" 2>/dev/null || continue
        wait "${started[i]}" 2>/dev/null || true
    done
    started=()
    rm -rf -- "$stage"
}

# await SECONDS WHAT COMMAND...: until the command succeeds. None of the servers
# tells when it is ready.
await() {
    local patience=$1 what=$2 deadline=$((SECONDS + $1))
    shift 2
    until "$@" >/dev/null 2>&1; do
        if ((SECONDS >= deadline)); then
            tail -n 5 "$stage"/*.log >&2
            fail "$what is not there after $patience s; what was said is above"
        fi
        sleep 0.05
    done
}

# Every program started from here on finds these servers and no other. A person's
# own session, where there is one, is left alone.
enter_stage() {
    stage=$(mktemp -d "${TMPDIR:-/tmp}/swictation.XXXXXX")
    trap leave_stage EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    export XDG_RUNTIME_DIR=$stage LC_ALL=C.UTF-8
    export PULSE_RUNTIME_PATH=$stage/pulse PULSE_STATE_PATH=$stage/pulse-state
    export PULSE_SERVER=unix:$stage/pulse/native
    unset WAYLAND_DISPLAY XDG_SESSION_TYPE NOTIFY_SOCKET PULSE_SINK PULSE_SOURCE DBUS_STARTER_ADDRESS
    raise_bus
    raise_sound
    raise_screen
    open_terminal
}

raise_bus() {
    start bus dbus-daemon --session --nofork --nopidfile --address="unix:path=$stage/bus"
    export DBUS_SESSION_BUS_ADDRESS=unix:path=$stage/bus
    await 10 'the session bus' test -S "$stage/bus"
}

raise_sound() {
    mkdir -p "$stage/pulse"
    start sound pulseaudio -n --resample-method=speex-float-10 --daemonize=no --exit-idle-time=-1 --disallow-exit \
        --realtime=no --high-priority=no --log-target=stderr \
        -L 'module-native-protocol-unix auth-anonymous=1' \
        -L "module-null-sink sink_name=mic rate=${microphone_rate:-48000} channels=1 sink_properties=device.description=Virtual"
    await 20 'the sound server' pactl info
    pactl set-default-sink mic
    pactl set-default-source mic.monitor
    # A null sink that nobody listens to works in blocks of 2 s, and the first
    # words would come in one lump: one recorder listens from now to the end.
    start microphone parec --latency-msec=10 --raw -d mic.monitor >"$stage/awake"
    await 20 'the virtual microphone' test -s "$stage/awake"
    rm -f "$stage/awake"
}

raise_screen() {
    start screen Xvfb -displayfd 3 -screen 0 1024x768x24 -nolisten tcp -ac -noreset 3>"$stage/display"
    await 20 'the screen' grep -q . "$stage/display"
    DISPLAY=:$(<"$stage/display")
    export DISPLAY
}

open_terminal() {
    : >"$stage/typed"
    # Raw, so that every key arrives at once and as it was pressed.
    # shellcheck disable=SC2016 # the inner shell's variables
    start terminal env STAGE="$stage" \
        xterm -u8 -fa 'DejaVu Sans Mono' -fs 13 -geometry 78x12+0+0 -b 14 -bw 0 -bg '#fdfcf8' -fg '#202020' -cr '#3060c0' \
        -e sh -c 'stty raw -echo; echo "$WINDOWID" >"$STAGE/window"; exec tee "$STAGE/typed"'
    await 20 'the terminal' test -s "$stage/window"
    await 20 'the focus' xdotool windowfocus --sync "$(<"$stage/window")"
}

# The picture of the terminal as it is now.
photograph() {
    mkdir -p "$(dirname "$1")"
    import -window "$(<"$stage/window")" "$1"
}
