import type { TokenPage } from '../api.js';
import { shown } from './numbers.js';

/** The text of an action token by token, in a stronger colour for larger weights; the weights are in the tooltips. */
export function ActionTokens({ row: { tokens, weights } }: { row: TokenPage['rows'][number] }) {
  return (
    <p class="action-text">
      {tokens.map((token, i) => (
        <span
          key={i}
          class={`token ${token === '' ? 'end' : ''}`}
          style={{ '--weight': String(Math.min(1, Math.max(0, weights[i]))) }}
          data-weight={weights[i]}
          title={`${token === '' ? 'end of text' : JSON.stringify(token)}: ${shown(weights[i])}`}
        >
          {token}
        </span>
      ))}
    </p>
  );
}
