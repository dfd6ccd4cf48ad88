interface PageLinksProps {
  readonly total: number;
  readonly offset: number;
  readonly size: number;
  readonly to: (offset: number) => string;
}

/** Links to the previous and the next page; nothing for a single page. */
export function PageLinks({ total, offset, size, to }: PageLinksProps) {
  if (total <= size) return null;
  return (
    <nav class="pages" aria-label="Pages of the list">
      {offset > 0 ? (
        <a href={to(Math.max(0, offset - size))} rel="prev">
          Previous
        </a>
      ) : (
        <span aria-disabled="true">Previous</span>
      )}
      <span class="note">
        {offset + 1}–{Math.min(total, offset + size)} of {total}
      </span>
      {offset + size < total ? (
        <a href={to(offset + size)} rel="next">
          Next
        </a>
      ) : (
        <span aria-disabled="true">Next</span>
      )}
    </nav>
  );
}
