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

type Slip<Key extends string> = Key extends string
  ? Dropped<Key> | Doubled<Key> | Swapped<Key> | Plural<Key> | Capitalize<Key> | Lowercase<Key> : never

type Dropped<Rest extends string, Before extends string = ''> = Rest extends `${infer Letter}${infer After}`
  ? `${Before}${After}` | Dropped<After, `${Before}${Letter}`>
  : never

type Doubled<Rest extends string, Before extends string = ''> = Rest extends `${infer Letter}${infer After}`
  ? `${Before}${Letter}${Letter}${After}` | Doubled<After, `${Before}${Letter}`>
  : never

type Swapped<Rest extends string, Before extends string = ''> = Rest extends `${infer Letter}${infer Next}${infer After}`
  ? `${Before}${Next}${Letter}${After}` | Swapped<`${Next}${After}`, `${Before}${Letter}`>
  : never

type Plural<Key extends string> = Key extends `${infer Stem}y` ? `${Stem}ies` : `${Key}s`
