import { argumentsOf, type OptionWords, type Words } from './words.js';

/** The completion script for fish. */
export function fishScript({ commands, settings, configs }: Words): string {
  const lines: string[] = [];
  for (const command of commands) {
    const here = `-n ${quoted(`__critiq_at ${quoted(command.name)}`)}`;
    for (const word of argumentsOf(command, commands)) {
      const below = commands.find(({ name }) => name === `${command.name} ${word}`);
      lines.push(`complete -c critiq ${here} ${offered(word)}${below ? ` -d ${quoted(below.summary)}` : ''}`);
    }
    for (const option of command.options) lines.push(`complete -c critiq ${here} ${flagsOf(option)}`);
  }
  const valued = settings.filter(({ values }) => values.length > 0);
  return `# fish completion for critiq: critiq completion fish | source

set -g __critiq_commands ${commands.map(({ name }) => quoted(name)).join(' ')}
set -g __critiq_setting_list \\
${settings.map(({ path, summary }) => `  ${quoted(`${path}=\t${summary}`)}`).join(' \\\n')}

function __critiq_at
  set -l command critiq
  for word in (commandline -opc)[2..-1]
    if contains -- "$command $word" $__critiq_commands
      set command "$command $word"
    end
  end
  test "$command" = "$argv[1]"
end

function __critiq_runs
  for file in data/*/run.json
    string replace -r '^data/(.*)/run\\.json$' '$1' $file
  end
end

function __critiq_configs
  printf '%s\\n' ${configs.join(' ')}
  __fish_complete_suffix .yaml
end

function __critiq_settings
  set -l word (commandline -ct)
  if not string match -q '*=*' -- $word
    printf '%s\\n' $__critiq_setting_list
    return
  end
  set -l key (string split -m 1 = -- $word)[1]
  switch $key
    case run
      for run in (__critiq_runs)
        echo run=$run
      end
${valued.map(({ path, values }) => `    case ${path}\n      printf '${path}=%s\\n' ${values.join(' ')}`).join('\n')}
  end
end

complete -c critiq -f
${lines.join('\n')}
`;
}

/** What completes a word of \`argumentsOf\`. */
function offered(word: string): string {
  if (word === '@files') return '-F';
  return word.startsWith('@') ? `-a ${quoted(`(__critiq_${word.slice(1)})`)}` : `-a ${quoted(word)}`;
}

function flagsOf({ flags, summary, value }: OptionWords): string {
  const names = flags.map((flag) => (flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`));
  const words =
    value === undefined
      ? []
      : typeof value === 'string'
        ? ['-r', offered(`@${value}`)]
        : ['-x', `-a ${quoted(value.join(' '))}`];
  return [...names, ...words, `-d ${quoted(summary)}`].join(' ');
}

function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
