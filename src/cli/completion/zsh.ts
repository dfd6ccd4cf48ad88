import { argumentsOf, optionValues, type Words } from './words.js';

/** The completion script for zsh, to be sourced or put into a folder of fpath as _critiq. */
export function zshScript({ commands, settings, configs }: Words): string {
  const valued = settings.filter(({ values }) => values.length > 0);
  const summaries = commands.map(({ name, summary }) => `  ${quoted(name)} ${quoted(summary)}`);
  const options = commands.map(({ name, options }) => {
    const words = options.flatMap(({ flags, summary }) => flags.map((flag) => quoted(`${flag}:${summary}`)));
    return `    ${quoted(name)}) options=(${words.join(' ')}) ;;`;
  });
  return `#compdef critiq
# zsh completion for critiq: source <(critiq completion zsh)

typeset -gA _critiq_summaries=(
${summaries.join('\n')}
)
# what comes next: words, or with @ a kind of them
typeset -gA _critiq_arguments=(
${pairs(commands.map((command) => [command.name, argumentsOf(command, commands)]))}
)
typeset -gA _critiq_option_values=(
${pairs(optionValues(commands))}
)
typeset -gA _critiq_values=(
${pairs(valued.map(({ path, values }) => [path, values]))}
)
typeset -ga _critiq_settings=(
${settings.map(({ path, summary }) => `  ${quoted(`${path}=:${summary}`)}`).join('\n')}
)
typeset -ga _critiq_configs=(${configs.join(' ')})

# offers what $1 names, after the command $2
_critiq_complete() {
  local kind
  local -a found runs
  for kind in \${=1}; do
    case $kind in
      @settings) _describe -t settings setting _critiq_settings -S '' ;;
      @runs)
        runs=(data/*/run.json(N:h:t))
        compadd -a runs
        ;;
      @configs)
        compadd -a _critiq_configs
        _files -g '*.yaml'
        ;;
      @files) _files ;;
      *) found+=("$kind\${_critiq_summaries[$2 $kind]:+:\${_critiq_summaries[$2 $kind]}}") ;;
    esac
  done
  if (( \${#found} )); then _describe -t commands command found; fi
}

_critiq() {
  local command=critiq word before=\${words[CURRENT-1]}
  local -a options
  for word in \${words[2,CURRENT-1]}; do
    if (( \${+_critiq_arguments[$command $word]} )); then command+=" $word"; fi
  done
  case $command in
${options.join('\n')}
  esac
  local option="$command $before"
  if (( \${+_critiq_option_values[$option]} )); then
    _critiq_complete "$_critiq_option_values[$option]" $command
  elif [[ $PREFIX == -* ]]; then
    _describe -t options option options
  elif [[ $PREFIX == *=* ]]; then
    local key=\${PREFIX%%=*}
    compset -P '*='
    if [[ $key == run ]]; then _critiq_complete @runs $command; else _critiq_complete "$_critiq_values[$key]" $command; fi
  else
    _critiq_complete "$_critiq_arguments[$command]" $command
  fi
}

if [[ $funcstack[1] == _critiq ]]; then _critiq "$@"; else compdef _critiq critiq; fi
`;
}

function pairs(entries: readonly (readonly [key: string, words: readonly string[]])[]): string {
  return entries.map(([key, words]) => `  ${quoted(key)} ${quoted(words.join(' '))}`).join('\n');
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
