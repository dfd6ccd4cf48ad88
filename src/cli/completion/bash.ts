import { argumentsOf, optionValues, type Words } from './words.js';

/** The completion script for bash. It needs bash 4 and nothing else: not the package bash-completion. */
export function bashScript({ commands, settings, configs }: Words): string {
  const valued = settings.filter(({ values }) => values.length > 0);
  return `# bash completion for critiq: source <(critiq completion bash)

declare -gA _critiq_options=(
${pairs(commands.map(({ name, options }) => [name, options.flatMap(({ flags }) => flags)]))}
)
# what comes next: words, or with @ a kind of them
declare -gA _critiq_arguments=(
${pairs(commands.map((command) => [command.name, argumentsOf(command, commands)]))}
)
declare -gA _critiq_option_values=(
${pairs(optionValues(commands))}
)
declare -gA _critiq_values=(
${pairs(valued.map(({ path, values }) => [path, values]))}
)
_critiq_settings='${settings.map(({ path }) => `${path}=`).join(' ')}'
_critiq_configs='${configs.join(' ')}'

_critiq_runs() {
  local file
  for file in data/*/run.json; do
    if [[ -e $file ]]; then file=\${file%/run.json}; echo "\${file#data/}"; fi
  done
}

_critiq_add() { mapfile -t -O "\${#COMPREPLY[@]}" COMPREPLY < <(compgen "$@" -- "$cur"); }

# adds the words of $1 that begin with $cur
_critiq_complete() {
  local kind
  for kind in $1; do
    case $kind in
      @settings) _critiq_add -W "$_critiq_settings" ;;
      @runs) _critiq_add -W "$(_critiq_runs)" ;;
      @configs) compopt -o filenames 2>/dev/null; _critiq_add -W "$_critiq_configs"; _critiq_add -G "$cur*.yaml"; _critiq_add -d ;;
      @files) compopt -o filenames 2>/dev/null; _critiq_add -f ;;
      *) _critiq_add -W "$kind" ;;
    esac
  done
}

_critiq() {
  # the words as the shell splits them; readline also splits at = and :
  local line=\${COMP_LINE:0:COMP_POINT} words cur before command=critiq word
  read -ra words <<<"$line"
  cur=\${line##*[[:space:]]}
  if [[ -n $cur ]]; then unset 'words[-1]'; fi
  before=\${words[-1]}
  COMPREPLY=()
  for word in "\${words[@]:1}"; do
    if [[ -n \${_critiq_options["$command $word"]+there} ]]; then command+=" $word"; fi
  done
  if [[ -n \${_critiq_option_values["$command $before"]+there} ]]; then
    _critiq_complete "\${_critiq_option_values["$command $before"]}"
  elif [[ $cur == -* ]]; then
    _critiq_complete "\${_critiq_options["$command"]}"
  elif [[ $cur == *=* ]]; then
    local key=\${cur%%=*}
    cur=\${cur#*=}
    if [[ $key == run ]]; then _critiq_complete @runs; else _critiq_complete "\${_critiq_values["$key"]}"; fi
    # readline replaces what is behind the =, unless = does not split words
    if [[ $COMP_WORDBREAKS != *=* ]]; then COMPREPLY=("\${COMPREPLY[@]/#/$key=}"); fi
  else
    _critiq_complete "\${_critiq_arguments["$command"]}"
  fi
  if [[ \${#COMPREPLY[@]} == 1 && \${COMPREPLY[0]} == *= ]]; then compopt -o nospace 2>/dev/null; fi
}

complete -F _critiq critiq
`;
}

/** Lines of an associative array; no word has a quote in it. */
function pairs(entries: readonly (readonly [key: string, words: readonly string[]])[]): string {
  return entries.map(([key, words]) => `  ['${key}']='${words.join(' ')}'`).join('\n');
}
