/** What is known at once, or later. */
export type MaybePromise<T> = T | Promise<T>

/** Goes on with the value in the same turn if it is known. */
export function after <T, U> (value: MaybePromise<T>, then: (value: T) => MaybePromise<U>): MaybePromise<U> {
  return value instanceof Promise ? value.then(then) : then(value)
}
