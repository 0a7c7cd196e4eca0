/** JSON Schema as far as `check` keeps it, and words of our own. Schemas of TypeBox have this shape too. */
export interface Schema {
  readonly type?: string
  readonly title?: string
  readonly description?: string
  readonly default?: unknown
  readonly const?: unknown
  readonly anyOf?: readonly Schema[]
  readonly items?: Schema
  readonly minItems?: number
  readonly properties?: Properties
  readonly patternProperties?: Properties
  readonly required?: readonly string[]
  readonly additionalProperties?: unknown
  readonly minimum?: number
  readonly maximum?: number
  readonly pattern?: string
  readonly format?: string
  /** What to write instead of a wrong value. */
  readonly hint?: string
  /** The value is never shown. */
  readonly secret?: boolean
  /** The value may be the place of a secret: `text`, or a `url` with a password. For options of the suite alone. */
  readonly secretSource?: string
  /** Says of a bare list what is unclear about it. */
  readonly refuseList?: boolean
}

type Properties = Readonly<Record<string, Schema>>

declare const value: unique symbol
const optional = Symbol('optional')

/** A schema, and the type of what fits it. */
export interface Typed<Value> extends Schema { readonly [value]: Value }
export type Optional<Kept> = Kept & { readonly [optional]: true }
/* The parts stay in the type: written out in place, members would lose their comments in declaration files. */
export interface UnionOf<Parts extends readonly unknown[]> extends Typed<Static<Parts[number]>> {}
export interface ArrayOf<Item> extends Typed<Static<Item>[]> {}
export interface RecordOf<Member> extends Typed<{ [name: string]: Static<Member> }> {}
export interface TypedObject<Members extends Properties> extends Typed<Fields<Members>> { readonly properties: Members }

/** The type of what fits a schema. */
export type Static<Kept> = Kept extends { readonly [value]: infer Value } ? Value : unknown

type Values<Members extends Properties> = { [Name in keyof Members]: Static<Members[Name]> }
type OptionalNames<Members> = { [Name in keyof Members]: Members[Name] extends { readonly [optional]: true } ? Name : never }[keyof Members]
type Flat<Value> = { [Name in keyof Value]: Value[Name] }
/** Through `Pick`, which keeps the comments of the members. */
type Fields<Members extends Properties> = Flat<
  Partial<Pick<Values<Members>, OptionalNames<Members>>> & Pick<Values<Members>, Exclude<keyof Members, OptionalNames<Members>>>
>

const typed = <Value>(schema: Schema) => schema as Typed<Value>

/**
 * Builds the schemas of options as TypeBox does, whose 200 modules took a third of the time to load the suite. The order of the keywords is
 * that of `docs/route-config.schema.json`.
 */
export const Type = {
  String: (more?: Schema) => typed<string>({ ...more, type: 'string' }),
  Boolean: () => typed<boolean>({ type: 'boolean' }),
  Integer: (more?: Schema) => typed<number>({ ...more, type: 'integer' }),
  Number: (more?: Schema) => typed<number>({ ...more, type: 'number' }),
  Function: <Call>() => typed<Call>({ type: 'Function' }),
  /** A value whose type the schema does not say. */
  Unsafe: <Value>(schema: Schema) => typed<Value>({ ...schema }),
  Literal: <const Value extends string | boolean>(value: Value) => typed<Value>({ const: value, type: typeof value }),
  Union: <const Parts extends readonly Schema[]>(anyOf: Parts, more?: Schema) => ({ ...more, anyOf }) as Schema as UnionOf<Parts>,
  Array: <Item extends Schema>(items: Item, more?: Schema) => ({ ...more, type: 'array', items }) as Schema as ArrayOf<Item>,
  /** An object with any names. */
  Record: <Member extends Schema>(member: Member) =>
    ({ type: 'object', patternProperties: { '^(.*)$': member } }) as Schema as RecordOf<Member>,
  /** An object with these names alone. */
  Object: <Members extends Properties>(properties: Members) => object(properties),
  Optional: <Kept extends Schema>(schema: Kept): Optional<Kept> => ({ ...schema, [optional]: true }),
  Partial: <Members extends Properties>({ properties }: TypedObject<Members>) => object(
    Object.fromEntries(Object.entries(properties).map(([name, schema]) => [name, Type.Optional(schema)])) as
      { [Name in keyof Members]: Optional<Members[Name]> })
}

function object <Members extends Properties> (properties: Members): TypedObject<Members> {
  const required = Object.keys(properties).filter(name => !(optional in (properties[name] ?? {})))
  const schema = { additionalProperties: false, type: 'object', ...required.length > 0 && { required }, properties }
  return schema as Schema as TypedObject<Members>
}
