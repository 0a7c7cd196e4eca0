/**
 * What is made of each value of a secret that is good, for asking somebody who may know only one of them. What is refused with one is tried
 * with the next, which then goes first; and then with the first once more, since the other side may have changed between the two.
 */
export class Turns<Way> {
  #ways: readonly Way[]

  constructor (ways: readonly Way[]) {
    this.#ways = ways
  }

  replace (ways: readonly Way[]): void {
    this.#ways = ways
  }

  async run<Answer> (attempt: (way: Way) => Promise<Answer>, isRefusal: (error: unknown) => boolean): Promise<Answer> {
    const ways = this.#ways
    const [first, second] = ways
    if (first === undefined) throw new TypeError('there is no way')
    if (second === undefined) return await attempt(first)
    const orElse = (next: () => Promise<Answer>) => (error: unknown) => {
      if (!isRefusal(error)) throw error
      return next()
    }
    const another = async () => {
      const answer = await attempt(second)
      if (ways === this.#ways) this.#ways = [second, first, ...ways.slice(2)]
      return answer
    }
    return await attempt(first).catch(orElse(another)).catch(orElse(() => attempt(first)))
  }
}
