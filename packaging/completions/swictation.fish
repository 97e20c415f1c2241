# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_swictation_global_optspecs
    string join \n h/help V/version
end

function __fish_swictation_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_swictation_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_swictation_using_subcommand
    set -l cmd (__fish_swictation_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c swictation -n "__fish_swictation_needs_command" -s h -l help -d 'Print help'
complete -c swictation -n "__fish_swictation_needs_command" -s V -l version -d 'Print version'
complete -c swictation -n "__fish_swictation_needs_command" -f -a "start" -d 'Begin to dictate; starts the daemon if need be'
complete -c swictation -n "__fish_swictation_needs_command" -f -a "stop" -d 'End the dictation once its last words are typed'
complete -c swictation -n "__fish_swictation_needs_command" -f -a "toggle" -d 'Start when idle, stop otherwise: one hotkey for both'
complete -c swictation -n "__fish_swictation_needs_command" -f -a "cancel" -d 'End the dictation at once, without its untyped words'
complete -c swictation -n "__fish_swictation_needs_command" -f -a "status" -d 'Show how the daemon is; exit code 7 when it does not run'
complete -c swictation -n "__fish_swictation_needs_command" -f -a "quit" -d 'End the daemon'
complete -c swictation -n "__fish_swictation_needs_command" -f -a "transcribe" -d 'Print the words of an audio file; needs no daemon'
complete -c swictation -n "__fish_swictation_needs_command" -f -a "doctor" -d 'Try what is needed to dictate, say what works, and what is left to do'
complete -c swictation -n "__fish_swictation_needs_command" -f -a "model" -d 'List, fetch, check and remove models; needs no daemon'
complete -c swictation -n "__fish_swictation_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c swictation -n "__fish_swictation_using_subcommand start" -s h -l help -d 'Print help'
complete -c swictation -n "__fish_swictation_using_subcommand stop" -s h -l help -d 'Print help'
complete -c swictation -n "__fish_swictation_using_subcommand toggle" -s h -l help -d 'Print help'
complete -c swictation -n "__fish_swictation_using_subcommand cancel" -s h -l help -d 'Print help'
complete -c swictation -n "__fish_swictation_using_subcommand status" -l json -d 'Print one JSON object, with the fields of a waybar custom module'
complete -c swictation -n "__fish_swictation_using_subcommand status" -l follow -d 'Print such an object in a line of its own at every change, without end'
complete -c swictation -n "__fish_swictation_using_subcommand status" -s h -l help -d 'Print help'
complete -c swictation -n "__fish_swictation_using_subcommand quit" -s h -l help -d 'Print help'
complete -c swictation -n "__fish_swictation_using_subcommand transcribe" -l model -d 'The folder of the model, instead of the configured one' -r -f -a "(__fish_complete_directories)"
complete -c swictation -n "__fish_swictation_using_subcommand transcribe" -l json -d 'Print JSON: words with their times'
complete -c swictation -n "__fish_swictation_using_subcommand transcribe" -l steps -d 'Print every step of the recognizer'
complete -c swictation -n "__fish_swictation_using_subcommand transcribe" -l realtime -d 'Feed the audio as fast as it was spoken'
complete -c swictation -n "__fish_swictation_using_subcommand transcribe" -s h -l help -d 'Print help'
complete -c swictation -n "__fish_swictation_using_subcommand doctor" -s h -l help -d 'Print help'
complete -c swictation -n "__fish_swictation_using_subcommand model; and not __fish_seen_subcommand_from list info get verify remove help" -s h -l help -d 'Print help'
complete -c swictation -n "__fish_swictation_using_subcommand model; and not __fish_seen_subcommand_from list info get verify remove help" -f -a "list" -d 'List the models that are installed and those that can be had'
complete -c swictation -n "__fish_swictation_using_subcommand model; and not __fish_seen_subcommand_from list info get verify remove help" -f -a "info" -d 'Show all that is known of a model'
complete -c swictation -n "__fish_swictation_using_subcommand model; and not __fish_seen_subcommand_from list info get verify remove help" -f -a "get" -d 'Fetch a model and install it; goes on where it broke off the last time'
complete -c swictation -n "__fish_swictation_using_subcommand model; and not __fish_seen_subcommand_from list info get verify remove help" -f -a "verify" -d 'Hold the files of a model, or of all models, against their SHA-256 sums'
complete -c swictation -n "__fish_swictation_using_subcommand model; and not __fish_seen_subcommand_from list info get verify remove help" -f -a "remove" -d 'Remove a model, and what is there of one that was not fetched to its end'
complete -c swictation -n "__fish_swictation_using_subcommand model; and not __fish_seen_subcommand_from list info get verify remove help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c swictation -n "__fish_swictation_using_subcommand model; and __fish_seen_subcommand_from list" -l json -d 'Print one JSON object a line'
complete -c swictation -n "__fish_swictation_using_subcommand model; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c swictation -n "__fish_swictation_using_subcommand model; and __fish_seen_subcommand_from info" -s h -l help -d 'Print help'
complete -c swictation -n "__fish_swictation_using_subcommand model; and __fish_seen_subcommand_from get" -l from -d 'The hub to fetch from, instead of $HF_ENDPOINT or huggingface.co' -r -f
complete -c swictation -n "__fish_swictation_using_subcommand model; and __fish_seen_subcommand_from get" -s h -l help -d 'Print help'
complete -c swictation -n "__fish_swictation_using_subcommand model; and __fish_seen_subcommand_from verify" -s h -l help -d 'Print help'
complete -c swictation -n "__fish_swictation_using_subcommand model; and __fish_seen_subcommand_from remove" -s h -l help -d 'Print help'
complete -c swictation -n "__fish_swictation_using_subcommand model; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the models that are installed and those that can be had'
complete -c swictation -n "__fish_swictation_using_subcommand model; and __fish_seen_subcommand_from help" -f -a "info" -d 'Show all that is known of a model'
complete -c swictation -n "__fish_swictation_using_subcommand model; and __fish_seen_subcommand_from help" -f -a "get" -d 'Fetch a model and install it; goes on where it broke off the last time'
complete -c swictation -n "__fish_swictation_using_subcommand model; and __fish_seen_subcommand_from help" -f -a "verify" -d 'Hold the files of a model, or of all models, against their SHA-256 sums'
complete -c swictation -n "__fish_swictation_using_subcommand model; and __fish_seen_subcommand_from help" -f -a "remove" -d 'Remove a model, and what is there of one that was not fetched to its end'
complete -c swictation -n "__fish_swictation_using_subcommand model; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c swictation -n "__fish_swictation_using_subcommand help; and not __fish_seen_subcommand_from start stop toggle cancel status quit transcribe doctor model help" -f -a "start" -d 'Begin to dictate; starts the daemon if need be'
complete -c swictation -n "__fish_swictation_using_subcommand help; and not __fish_seen_subcommand_from start stop toggle cancel status quit transcribe doctor model help" -f -a "stop" -d 'End the dictation once its last words are typed'
complete -c swictation -n "__fish_swictation_using_subcommand help; and not __fish_seen_subcommand_from start stop toggle cancel status quit transcribe doctor model help" -f -a "toggle" -d 'Start when idle, stop otherwise: one hotkey for both'
complete -c swictation -n "__fish_swictation_using_subcommand help; and not __fish_seen_subcommand_from start stop toggle cancel status quit transcribe doctor model help" -f -a "cancel" -d 'End the dictation at once, without its untyped words'
complete -c swictation -n "__fish_swictation_using_subcommand help; and not __fish_seen_subcommand_from start stop toggle cancel status quit transcribe doctor model help" -f -a "status" -d 'Show how the daemon is; exit code 7 when it does not run'
complete -c swictation -n "__fish_swictation_using_subcommand help; and not __fish_seen_subcommand_from start stop toggle cancel status quit transcribe doctor model help" -f -a "quit" -d 'End the daemon'
complete -c swictation -n "__fish_swictation_using_subcommand help; and not __fish_seen_subcommand_from start stop toggle cancel status quit transcribe doctor model help" -f -a "transcribe" -d 'Print the words of an audio file; needs no daemon'
complete -c swictation -n "__fish_swictation_using_subcommand help; and not __fish_seen_subcommand_from start stop toggle cancel status quit transcribe doctor model help" -f -a "doctor" -d 'Try what is needed to dictate, say what works, and what is left to do'
complete -c swictation -n "__fish_swictation_using_subcommand help; and not __fish_seen_subcommand_from start stop toggle cancel status quit transcribe doctor model help" -f -a "model" -d 'List, fetch, check and remove models; needs no daemon'
complete -c swictation -n "__fish_swictation_using_subcommand help; and not __fish_seen_subcommand_from start stop toggle cancel status quit transcribe doctor model help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c swictation -n "__fish_swictation_using_subcommand help; and __fish_seen_subcommand_from model" -f -a "list" -d 'List the models that are installed and those that can be had'
complete -c swictation -n "__fish_swictation_using_subcommand help; and __fish_seen_subcommand_from model" -f -a "info" -d 'Show all that is known of a model'
complete -c swictation -n "__fish_swictation_using_subcommand help; and __fish_seen_subcommand_from model" -f -a "get" -d 'Fetch a model and install it; goes on where it broke off the last time'
complete -c swictation -n "__fish_swictation_using_subcommand help; and __fish_seen_subcommand_from model" -f -a "verify" -d 'Hold the files of a model, or of all models, against their SHA-256 sums'
complete -c swictation -n "__fish_swictation_using_subcommand help; and __fish_seen_subcommand_from model" -f -a "remove" -d 'Remove a model, and what is there of one that was not fetched to its end'
