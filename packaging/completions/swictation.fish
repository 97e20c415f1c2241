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
complete -c swictation -n "__fish_swictation_needs_command" -f -a "cancel" -d 'End the dictation at once and take back what it typed, if nobody has typed, clicked or moved the focus since'
complete -c swictation -n "__fish_swictation_needs_command" -f -a "last" -d 'Print the text of the newest dictation, typed or not'
complete -c swictation -n "__fish_swictation_needs_command" -f -a "status" -d 'Show how the daemon is; exit code 7 when it does not run'
complete -c swictation -n "__fish_swictation_needs_command" -f -a "quit" -d 'End the daemon'
complete -c swictation -n "__fish_swictation_needs_command" -f -a "transcribe" -d 'Print the words of an audio file; needs no daemon'
complete -c swictation -n "__fish_swictation_needs_command" -f -a "recover" -d 'Print what a daemon that was killed had not typed; needs no daemon'
complete -c swictation -n "__fish_swictation_needs_command" -f -a "doctor" -d 'Try what is needed to dictate, say what works, and what is left to do'
complete -c swictation -n "__fish_swictation_needs_command" -f -a "model" -d 'List, fetch, import, check, choose and remove models; needs no daemon'
complete -c swictation -n "__fish_swictation_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c swictation -n "__fish_swictation_using_subcommand start" -s h -l help -d 'Print help'
complete -c swictation -n "__fish_swictation_using_subcommand stop" -s h -l help -d 'Print help'
complete -c swictation -n "__fish_swictation_using_subcommand toggle" -s h -l help -d 'Print help'
complete -c swictation -n "__fish_swictation_using_subcommand cancel" -s h -l help -d 'Print help'
complete -c swictation -n "__fish_swictation_using_subcommand last" -l untyped -d 'Print only what could not be typed, of earlier dictations too'
complete -c swictation -n "__fish_swictation_using_subcommand last" -l copy -d 'Put it on the clipboard: what could not be typed, if there is any, else all'
complete -c swictation -n "__fish_swictation_using_subcommand last" -s h -l help -d 'Print help'
complete -c swictation -n "__fish_swictation_using_subcommand status" -l json -d 'Print one JSON object, with the fields of a waybar custom module'
complete -c swictation -n "__fish_swictation_using_subcommand status" -l follow -d 'Print such an object in a line of its own at every change, without end'
complete -c swictation -n "__fish_swictation_using_subcommand status" -s h -l help -d 'Print help'
complete -c swictation -n "__fish_swictation_using_subcommand quit" -s h -l help -d 'Print help'
complete -c swictation -n "__fish_swictation_using_subcommand transcribe" -l model -d 'The folder of the model, instead of the configured one' -r -f -a "(__fish_complete_directories)"
complete -c swictation -n "__fish_swictation_using_subcommand transcribe" -l json -d 'Print JSON: words with their times'
complete -c swictation -n "__fish_swictation_using_subcommand transcribe" -l steps -d 'Print every step of the recognizer'
complete -c swictation -n "__fish_swictation_using_subcommand transcribe" -l realtime -d 'Feed the audio as fast as it was spoken'
complete -c swictation -n "__fish_swictation_using_subcommand transcribe" -s h -l help -d 'Print help'
complete -c swictation -n "__fish_swictation_using_subcommand recover" -l keep -d 'Keep the files, so that it can be done again'
complete -c swictation -n "__fish_swictation_using_subcommand recover" -s h -l help -d 'Print help'
complete -c swictation -n "__fish_swictation_using_subcommand doctor" -s h -l help -d 'Print help'
complete -c swictation -n "__fish_swictation_using_subcommand model; and not __fish_seen_subcommand_from list info get import verify use remove help" -s h -l help -d 'Print help'
complete -c swictation -n "__fish_swictation_using_subcommand model; and not __fish_seen_subcommand_from list info get import verify use remove help" -f -a "list" -d 'List the models that are installed and those that can be had'
complete -c swictation -n "__fish_swictation_using_subcommand model; and not __fish_seen_subcommand_from list info get import verify use remove help" -f -a "info" -d 'Show all that is known of a model'
complete -c swictation -n "__fish_swictation_using_subcommand model; and not __fish_seen_subcommand_from list info get import verify use remove help" -f -a "get" -d 'Fetch a model and install it; goes on where it broke off the last time'
complete -c swictation -n "__fish_swictation_using_subcommand model; and not __fish_seen_subcommand_from list info get import verify use remove help" -f -a "import" -d 'Find out what the model in a folder is, and write a model.toml for it'
complete -c swictation -n "__fish_swictation_using_subcommand model; and not __fish_seen_subcommand_from list info get import verify use remove help" -f -a "verify" -d 'Hold the files of a model, or of all models, against their SHA-256 sums'
complete -c swictation -n "__fish_swictation_using_subcommand model; and not __fish_seen_subcommand_from list info get import verify use remove help" -f -a "use" -d 'Have the daemon use a model; when it fails, the one in use stays'
complete -c swictation -n "__fish_swictation_using_subcommand model; and not __fish_seen_subcommand_from list info get import verify use remove help" -f -a "remove" -d 'Remove a model, and what is there of one that was not fetched to its end'
complete -c swictation -n "__fish_swictation_using_subcommand model; and not __fish_seen_subcommand_from list info get import verify use remove help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c swictation -n "__fish_swictation_using_subcommand model; and __fish_seen_subcommand_from list" -l json -d 'Print one JSON object a line'
complete -c swictation -n "__fish_swictation_using_subcommand model; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c swictation -n "__fish_swictation_using_subcommand model; and __fish_seen_subcommand_from info" -s h -l help -d 'Print help'
complete -c swictation -n "__fish_swictation_using_subcommand model; and __fish_seen_subcommand_from get" -l from -d 'The hub to fetch from, instead of $HF_ENDPOINT or huggingface.co' -r -f
complete -c swictation -n "__fish_swictation_using_subcommand model; and __fish_seen_subcommand_from get" -s h -l help -d 'Print help'
complete -c swictation -n "__fish_swictation_using_subcommand model; and __fish_seen_subcommand_from import" -l name -d 'What to call it, instead of as its folder' -r
complete -c swictation -n "__fish_swictation_using_subcommand model; and __fish_seen_subcommand_from import" -l precision -d 'Which copy of the graphs, instead of the most exact' -r -f -a "fp32\t''
fp16\t''
int8\t''"
complete -c swictation -n "__fish_swictation_using_subcommand model; and __fish_seen_subcommand_from import" -l head -d 'Which of several decoders' -r -f -a "ctc\t''
rnnt\t''
tdt\t''
aed\t''"
complete -c swictation -n "__fish_swictation_using_subcommand model; and __fish_seen_subcommand_from import" -l vocabulary -d 'The vocabulary or tokenizer: vocab.txt, tokens.txt, tokenizer.model, tokenizer.json' -r -F
complete -c swictation -n "__fish_swictation_using_subcommand model; and __fish_seen_subcommand_from import" -l language -d 'The code of its language, such as en; an attention decoder writes in it' -r
complete -c swictation -n "__fish_swictation_using_subcommand model; and __fish_seen_subcommand_from import" -l licence -d 'The licence of the weights, as an SPDX expression' -r
complete -c swictation -n "__fish_swictation_using_subcommand model; and __fish_seen_subcommand_from import" -l left-frames -d 'Left context in encoder frames, where the graph does not tell' -r
complete -c swictation -n "__fish_swictation_using_subcommand model; and __fish_seen_subcommand_from import" -l right-frames -d 'Look-ahead in encoder frames, where the graph does not tell' -r
complete -c swictation -n "__fish_swictation_using_subcommand model; and __fish_seen_subcommand_from import" -l subsampling -d 'Mel frames per encoder frame, where the graph does not tell' -r
complete -c swictation -n "__fish_swictation_using_subcommand model; and __fish_seen_subcommand_from import" -l durations -d 'Encoder frames by which each duration of a TDT model goes on, such as 0,1,2,3,4' -r
complete -c swictation -n "__fish_swictation_using_subcommand model; and __fish_seen_subcommand_from import" -l dry-run -d 'Show what it is, and write nothing'
complete -c swictation -n "__fish_swictation_using_subcommand model; and __fish_seen_subcommand_from import" -l force -d 'Write anew what an earlier import wrote'
complete -c swictation -n "__fish_swictation_using_subcommand model; and __fish_seen_subcommand_from import" -l link -d 'Write nothing into the folder; the model is entered with a link to it'
complete -c swictation -n "__fish_swictation_using_subcommand model; and __fish_seen_subcommand_from import" -s h -l help -d 'Print help'
complete -c swictation -n "__fish_swictation_using_subcommand model; and __fish_seen_subcommand_from verify" -s h -l help -d 'Print help'
complete -c swictation -n "__fish_swictation_using_subcommand model; and __fish_seen_subcommand_from use" -s h -l help -d 'Print help'
complete -c swictation -n "__fish_swictation_using_subcommand model; and __fish_seen_subcommand_from remove" -l force -d 'Also when the daemon uses it or config.toml chooses it'
complete -c swictation -n "__fish_swictation_using_subcommand model; and __fish_seen_subcommand_from remove" -s h -l help -d 'Print help'
complete -c swictation -n "__fish_swictation_using_subcommand model; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the models that are installed and those that can be had'
complete -c swictation -n "__fish_swictation_using_subcommand model; and __fish_seen_subcommand_from help" -f -a "info" -d 'Show all that is known of a model'
complete -c swictation -n "__fish_swictation_using_subcommand model; and __fish_seen_subcommand_from help" -f -a "get" -d 'Fetch a model and install it; goes on where it broke off the last time'
complete -c swictation -n "__fish_swictation_using_subcommand model; and __fish_seen_subcommand_from help" -f -a "import" -d 'Find out what the model in a folder is, and write a model.toml for it'
complete -c swictation -n "__fish_swictation_using_subcommand model; and __fish_seen_subcommand_from help" -f -a "verify" -d 'Hold the files of a model, or of all models, against their SHA-256 sums'
complete -c swictation -n "__fish_swictation_using_subcommand model; and __fish_seen_subcommand_from help" -f -a "use" -d 'Have the daemon use a model; when it fails, the one in use stays'
complete -c swictation -n "__fish_swictation_using_subcommand model; and __fish_seen_subcommand_from help" -f -a "remove" -d 'Remove a model, and what is there of one that was not fetched to its end'
complete -c swictation -n "__fish_swictation_using_subcommand model; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c swictation -n "__fish_swictation_using_subcommand help; and not __fish_seen_subcommand_from start stop toggle cancel last status quit transcribe recover doctor model help" -f -a "start" -d 'Begin to dictate; starts the daemon if need be'
complete -c swictation -n "__fish_swictation_using_subcommand help; and not __fish_seen_subcommand_from start stop toggle cancel last status quit transcribe recover doctor model help" -f -a "stop" -d 'End the dictation once its last words are typed'
complete -c swictation -n "__fish_swictation_using_subcommand help; and not __fish_seen_subcommand_from start stop toggle cancel last status quit transcribe recover doctor model help" -f -a "toggle" -d 'Start when idle, stop otherwise: one hotkey for both'
complete -c swictation -n "__fish_swictation_using_subcommand help; and not __fish_seen_subcommand_from start stop toggle cancel last status quit transcribe recover doctor model help" -f -a "cancel" -d 'End the dictation at once and take back what it typed, if nobody has typed, clicked or moved the focus since'
complete -c swictation -n "__fish_swictation_using_subcommand help; and not __fish_seen_subcommand_from start stop toggle cancel last status quit transcribe recover doctor model help" -f -a "last" -d 'Print the text of the newest dictation, typed or not'
complete -c swictation -n "__fish_swictation_using_subcommand help; and not __fish_seen_subcommand_from start stop toggle cancel last status quit transcribe recover doctor model help" -f -a "status" -d 'Show how the daemon is; exit code 7 when it does not run'
complete -c swictation -n "__fish_swictation_using_subcommand help; and not __fish_seen_subcommand_from start stop toggle cancel last status quit transcribe recover doctor model help" -f -a "quit" -d 'End the daemon'
complete -c swictation -n "__fish_swictation_using_subcommand help; and not __fish_seen_subcommand_from start stop toggle cancel last status quit transcribe recover doctor model help" -f -a "transcribe" -d 'Print the words of an audio file; needs no daemon'
complete -c swictation -n "__fish_swictation_using_subcommand help; and not __fish_seen_subcommand_from start stop toggle cancel last status quit transcribe recover doctor model help" -f -a "recover" -d 'Print what a daemon that was killed had not typed; needs no daemon'
complete -c swictation -n "__fish_swictation_using_subcommand help; and not __fish_seen_subcommand_from start stop toggle cancel last status quit transcribe recover doctor model help" -f -a "doctor" -d 'Try what is needed to dictate, say what works, and what is left to do'
complete -c swictation -n "__fish_swictation_using_subcommand help; and not __fish_seen_subcommand_from start stop toggle cancel last status quit transcribe recover doctor model help" -f -a "model" -d 'List, fetch, import, check, choose and remove models; needs no daemon'
complete -c swictation -n "__fish_swictation_using_subcommand help; and not __fish_seen_subcommand_from start stop toggle cancel last status quit transcribe recover doctor model help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c swictation -n "__fish_swictation_using_subcommand help; and __fish_seen_subcommand_from model" -f -a "list" -d 'List the models that are installed and those that can be had'
complete -c swictation -n "__fish_swictation_using_subcommand help; and __fish_seen_subcommand_from model" -f -a "info" -d 'Show all that is known of a model'
complete -c swictation -n "__fish_swictation_using_subcommand help; and __fish_seen_subcommand_from model" -f -a "get" -d 'Fetch a model and install it; goes on where it broke off the last time'
complete -c swictation -n "__fish_swictation_using_subcommand help; and __fish_seen_subcommand_from model" -f -a "import" -d 'Find out what the model in a folder is, and write a model.toml for it'
complete -c swictation -n "__fish_swictation_using_subcommand help; and __fish_seen_subcommand_from model" -f -a "verify" -d 'Hold the files of a model, or of all models, against their SHA-256 sums'
complete -c swictation -n "__fish_swictation_using_subcommand help; and __fish_seen_subcommand_from model" -f -a "use" -d 'Have the daemon use a model; when it fails, the one in use stays'
complete -c swictation -n "__fish_swictation_using_subcommand help; and __fish_seen_subcommand_from model" -f -a "remove" -d 'Remove a model, and what is there of one that was not fetched to its end'
