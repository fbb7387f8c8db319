# Completion of brtel-notify for bash. Belongs into /usr/share/bash-completion/completions/.

#TABLES#

# The kinds of events and tickets that only the running program knows: their names, one a line.
# What stood before the command (--config, --state-dir) leads to the right ones.
_brtel_notify_events() {
    "$@" queue list --json 2>/dev/null | sed -n 's/^ *"id": "\(.*\)",\{0,1\}$/\1/p'
}

_brtel_notify_tickets() {
    local key
    "$@" status --json 2>/dev/null | sed -n 's/^      "key": "\(.*\)",\{0,1\}$/\1/p' |
        while IFS= read -r key; do printf '%b\n' "$key"; done # \u00e9 is how JSON has an é
}

# Reply with those of the given words that begin as the user began. $want holds what was typed of
# the word. bash replaces only what stands behind the last : or = of it.
_brtel_notify_offer() {
    local word quoted behind=${want##*[:=]}
    local before=${want%"$behind"}
    for word; do
        printf -v quoted '%q' "$word"
        [[ $quoted == "$want"* ]] && COMPREPLY+=("${quoted#"$before"}")
    done
}

_brtel_notify_offer_value() {
    local -a found
    case $1 in
        file) compopt -o filenames && mapfile -t COMPREPLY < <(compgen -f -- "$want") ;;
        folder) compopt -o filenames && mapfile -t COMPREPLY < <(compgen -d -- "$want") ;;
        user) mapfile -t found < <(compgen -u) && _brtel_notify_offer "${found[@]}" ;;
        group) mapfile -t found < <(compgen -g) && _brtel_notify_offer "${found[@]}" ;;
        words*) read -ra found <<<"${1#words}" && _brtel_notify_offer "${found[@]}" ;;
    esac
}

_brtel_notify_offer_argument() {
    local -a found
    case $1:$2 in
        queue:0 | ticket:1 | install:0 | render:0)
            read -ra found <<<"$(_brtel_notify_arguments "$1")"
            ;;
        queue:*) mapfile -t found < <(_brtel_notify_events "${call[@]}") ;;
        ticket:0) mapfile -t found < <(_brtel_notify_tickets "${call[@]}") ;;
    esac
    _brtel_notify_offer "${found[@]}"
}

_brtel_notify() {
    local line=${COMP_LINE:0:COMP_POINT} want word command='' kind='' place=0
    local -a words call
    COMPREPLY=()

    # COMP_WORDS is cut at : and =, which keys of tickets hold. Without -r: a blank behind a
    # backslash belongs to its word.
    # shellcheck disable=SC2162
    read -a words <<<"$line"
    want=${line##*[!\\][[:blank:]]}
    [[ -z $want ]] || unset 'words[-1]'

    call=("${words[0]}")
    for word in "${words[@]:1}"; do
        if [[ -n $kind ]]; then # the value of the option before it
            [[ -n $command ]] || call+=("$word")
            kind=''
        elif [[ $word == -* ]]; then
            [[ -n $command ]] || call+=("$word")
            [[ $word == *=* ]] || kind=$(_brtel_notify_value "$command" "$word")
        elif [[ -z $command ]]; then
            command=$word
        else
            place=$((place + 1))
        fi
    done

    if [[ -n $kind ]]; then
        _brtel_notify_offer_value "$kind"
    elif [[ $want == --*=* ]]; then
        kind=$(_brtel_notify_value "$command" "${want%%=*}")
        want=${want#*=}
        _brtel_notify_offer_value "$kind"
    elif [[ $want == -* ]]; then
        words=()
        [[ $command == sandbox ]] || read -ra words <<<"$_brtel_notify_global_options"
        # shellcheck disable=SC2046 # words, without anything that a shell would read
        _brtel_notify_offer "${words[@]}" $(_brtel_notify_options "$command")
    elif [[ -z $command ]]; then
        read -ra words <<<"$_brtel_notify_commands"
        _brtel_notify_offer "${words[@]}"
    else
        _brtel_notify_offer_argument "$command" "$place"
    fi
}

complete -F _brtel_notify brtel-notify
