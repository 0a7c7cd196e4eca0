/**
 * Route options that are misspelt do not compile. TypeScript on its own accepts every key in `config`: Fastify infers the type of a
 * route's `config` from what is written there, so that nothing in it is ever too much. Index signatures do see the key, and editors do
 * not offer them. They stand for the slips of a hand: a letter left out, twice or in the wrong place, the plural, a capital.
 */
export type Misspelt<Key extends string> = {
  readonly [Meant in Key as `${Exclude<Slip<Meant>, Key>}${OnlyThat}`]?: `did you mean ${Meant}?`
}

/** Makes a pattern of a text, as an index signature must be one. Keys with capitals behind the text are hit too, and no others. */
type OnlyThat = Uppercase<string>

type Slip<Key extends string> = Key extends string ? Slipped<Key, ''> | Plural<Key> | Capitalize<Key> | Lowercase<Key> : never

/** One letter left out, twice, or swapped with the next. One recursion for the three, as each of its steps costs every compilation. */
type Slipped<Rest extends string, Before extends string> = Rest extends `${infer Letter}${infer After}`
  ? `${Before}${After | `${Letter}${Letter}${After}` | Swapped<Letter, After>}` | Slipped<After, `${Before}${Letter}`>
  : never

type Swapped<Letter extends string, After extends string> = After extends `${infer Next}${infer Rest}` ? `${Next}${Letter}${Rest}` : never

type Plural<Key extends string> = Key extends `${infer Stem}y` ? `${Stem}ies` : `${Key}s`
