/**
 * The words of the phone's world. Names of shops and goods consist of pieces. The test split holds out combinations of
 * pieces, never a piece, so a model that copies pieces can solve the test tasks and one that memorises names cannot.
 */

/** First and second pieces of shop names: best|mart. */
export const SHOP_FIRST = [
  'best',
  'mega',
  'top',
  'city',
  'sun',
  'star',
  'happy',
  'river',
  'fox',
  'moon',
  'bear',
  'cloud',
  'eagle',
  'forest',
  'garden',
  'lucky',
  'ocean',
  'rapid',
  'smart',
  'tiger',
] as const;
export const SHOP_SECOND = [
  'mart',
  'shop',
  'goods',
  'deals',
  'store',
  'market',
  'box',
  'hub',
  'depot',
  'place',
  'world',
  'zone',
] as const;

/** Names of goods are a colour and a noun: red lamp. */
export const COLOURS = [
  'red',
  'orange',
  'yellow',
  'green',
  'blue',
  'purple',
  'pink',
  'brown',
  'black',
  'white',
] as const;
export const NOUNS = [
  'lamp',
  'chair',
  'phone',
  'watch',
  'piano',
  'drone',
  'tent',
  'bike',
  'ring',
  'cup',
  'shoe',
  'mouse',
] as const;

export type Colour = (typeof COLOURS)[number];
export type Noun = (typeof NOUNS)[number];

/** A shop's name as its two pieces; the address is `${first}${second}.com`. */
export interface Shop {
  readonly first: (typeof SHOP_FIRST)[number];
  readonly second: (typeof SHOP_SECOND)[number];
}

/** The split that a shop, goods or a wording belongs to. */
export type Split = 'train' | 'test';

const shops = new Map<string, Shop>();
const shopLists: Record<Split, string[]> = { train: [], test: [] };
SHOP_FIRST.forEach((first, i) =>
  SHOP_SECOND.forEach((second, j) => {
    const address = `${first}${second}.com`;
    shops.set(address, { first, second });
    // Latin-square hold-out: every piece stays in train with most of its partners
    shopLists[(i * 3 + j) % 5 === 0 ? 'test' : 'train'].push(address);
  }),
);

const goodsLists: Record<Split, string[]> = { train: [], test: [] };
COLOURS.forEach((colour, i) =>
  NOUNS.forEach((noun, j) => goodsLists[(i * 2 + j) % 5 === 0 ? 'test' : 'train'].push(`${colour} ${noun}`)),
);

/** The shop addresses of a split (192 train, 48 test); all shops exist on every phone. */
export function shopAddresses(split: Split): readonly string[] {
  return shopLists[split];
}

/** The goods of a split (96 train, 24 test), as typed into a search box: `red lamp`. */
export function goods(split: Split): readonly string[] {
  return goodsLists[split];
}

/** The shop at a typed address, if there is one; case, spaces, http(s):// and a leading www. do not matter. */
export function shopAt(address: string): { address: string; shop: Shop } | undefined {
  const key = normalise(address).replace(/^(https?:\/\/)?(www\.)?/, '');
  const shop = shops.get(key);
  return shop && { address: key, shop };
}

/** Colour and noun of the goods in a search text; undefined if the text is not exactly a colour and a noun. */
export function goodsOf(query: string): { colour: Colour; noun: Noun } | undefined {
  const [colour, noun, ...rest] = normalise(query).split(' ');
  if (rest.length > 0) return undefined;
  const known = (COLOURS as readonly string[]).includes(colour) && (NOUNS as readonly string[]).includes(noun);
  return known ? { colour: colour as Colour, noun: noun as Noun } : undefined;
}

/** Typed text in the form in which the phone compares it: lower case, single spaces, trimmed. */
export function normalise(text: string): string {
  return text.trim().toLowerCase().replace(/\s+/g, ' ');
}
