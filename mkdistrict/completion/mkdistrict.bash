# Completion of mkdistrict for bash: `source` it, or copy it to /usr/share/bash-completion/completions/mkdistrict.

# Paths inside a generation: _mkdistrict_inside PROGRAM FILE
_mkdistrict_inside() {
    local program=$1 file=$2 word=${cur:-/} folder name line
    folder=${word%"${word##*/}"}
    while IFS= read -r line; do
        name=${line%/}
        [[ $folder$name == "$word"* ]] && COMPREPLY+=("$folder$name")
    done < <("$program" ls "$file" "${folder:-/}" 2>/dev/null)
    compopt -o filenames -o nospace 2>/dev/null
}

# Generations that a store keeps: _mkdistrict_generations PROGRAM FILE [OTHER WORD]
_mkdistrict_generations() {
    COMPREPLY=($(compgen -W "newest ${3-} $("$1" --info "$2" 2>/dev/null | awk '/^generations$/ { g = 1; next } g { print $1 }')" -- "$cur"))
}

_mkdistrict_files() {
    COMPREPLY=($(compgen -f -- "$cur"))
    compopt -o filenames 2>/dev/null
}

_mkdistrict_archive() {
    local program=$1 i verb= verb_at=0 vault=()
    for ((i = 2; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        --vault) vault=(--vault "${COMP_WORDS[i + 1]}"); ((i++)) ;;
        --name | --size | --keep) ((i++)) ;;
        -*) ;;
        *) verb=${COMP_WORDS[i]} verb_at=$i; break ;;
        esac
    done
    local n=$((COMP_CWORD - verb_at))
    if [[ $cur == -* ]]; then
        case $verb in
        pull) COMPREPLY=($(compgen -W '--vault --name --size --force --help' -- "$cur")) ;;
        prune) COMPREPLY=($(compgen -W '--vault --keep --help' -- "$cur")) ;;
        push | list | verify) COMPREPLY=($(compgen -W '--vault --help' -- "$cur")) ;;
        *) COMPREPLY=($(compgen -W '--vault --name --size --force --keep --help' -- "$cur")) ;;
        esac
        return
    fi
    case $verb in
    '') COMPREPLY=($(compgen -W 'push pull list prune verify' -- "$cur")) ;;
    push) if ((n == 1)); then _mkdistrict_files; else
            _mkdistrict_generations "$program" "${COMP_WORDS[verb_at + 1]}" all; fi ;;
    pull | prune)
        if ((n == 1)); then
            COMPREPLY=($(compgen -W "$("$program" archive "${vault[@]}" list 2>/dev/null | awk '{ print $1 }' | sort -u)" -- "$cur"))
        elif ((n == 2)); then
            COMPREPLY=($(compgen -W "newest $("$program" archive "${vault[@]}" list 2>/dev/null |
                awk -v name="${COMP_WORDS[verb_at + 1]}" '$1 == name { print $3 }')" -- "$cur"))
        else
            _mkdistrict_files
        fi ;;
    esac
}

_mkdistrict() {
    local cur=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} program=${COMP_WORDS[0]}
    COMPREPLY=()
    case $before in
    --root | --programs | --vault | --info | --verify | --mirror) _mkdistrict_files; return ;;
    --interval) COMPREPLY=($(compgen -W '10ms 100ms 500ms 1s 10s 1min never' -- "$cur")); return ;;
    --size | --grow) COMPREPLY=($(compgen -W '64M 256M 1G 4G' -- "$cur")); return ;;
    --name | --exec | --owner | --mode | --keep) return ;;
    esac
    if ((COMP_CWORD == 1)); then
        COMPREPLY=($(compgen -W 'ls cat get put dump export import mirror hold archive --size --name --root --exec --program --interval --keep
            --mirror --alone --programs --force --info --verify --repair --grow --help' -- "$cur"))
        [[ $cur == -* ]] || COMPREPLY+=($(compgen -f -- "$cur"))
        return
    fi
    local command=${COMP_WORDS[1]} i words=()
    for ((i = 2; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        --owner | --mode | --name | --size | --mirror) ((i++)) ;;
        -*) ;;
        *) words+=("${COMP_WORDS[i]}") ;;
        esac
    done
    case $command in
    archive) _mkdistrict_archive "$program"; return ;;
    ls | cat | get | put | dump | export | import | mirror | hold) ;;
    *) if [[ $cur == -* ]]; then
            COMPREPLY=($(compgen -W '--size --name --root --exec --program --interval --keep --mirror --alone --programs --force' -- "$cur"))
        else
            _mkdistrict_files
        fi
        return ;;
    esac
    if [[ $cur == -* ]]; then
        case $command in
        ls) COMPREPLY=($(compgen -W '-l --help' -- "$cur")) ;;
        put) COMPREPLY=($(compgen -W '--owner --mode --mirror --alone --help' -- "$cur")) ;;
        mirror) COMPREPLY=($(compgen -W '--force --remove --alone --help' -- "$cur")) ;;
        import) COMPREPLY=($(compgen -W '--name --replace --size --force --help' -- "$cur")) ;;
        *) COMPREPLY=($(compgen -W '--help' -- "$cur")) ;;
        esac
        return
    fi
    case $command:${#words[@]} in
    *:0 | hold:*) _mkdistrict_files ;;
    ls:1 | cat:* | get:1 | put:2) _mkdistrict_inside "$program" "${words[0]}" ;;
    get:2 | put:1 | mirror:1) _mkdistrict_files ;;
    dump:1) COMPREPLY=($(compgen -W 'super roots block generations index map object system journal inode' -- "$cur")) ;;
    dump:2) [[ ${words[1]} == inode ]] && _mkdistrict_inside "$program" "${words[0]}" ;;
    export:1) _mkdistrict_generations "$program" "${words[0]}" ;;
    esac
}
complete -F _mkdistrict mkdistrict
