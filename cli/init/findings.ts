import type { Place } from '../routes/record.ts'

/** `must`: the application does not work, or is open, without it. `look`: it is a decision. `note`: it is otherwise than before. */
export interface Finding {
  readonly level: 'must' | 'look' | 'note'
  readonly text: string
  readonly place?: Pick<Place, 'file' | 'line'>
  /** `GET /orders`. */
  readonly route?: string
}

/** What a person should know, each thing once. */
export class Findings {
  readonly #told = new Map<string, Finding>()

  tell (level: Finding['level'], text: string, place?: Pick<Place, 'file' | 'line'>, route?: string): void {
    const finding = { level, text, ...(place && { place }), ...(route !== undefined && { route }) }
    this.#told.set(JSON.stringify(finding), finding)
  }

  all (): readonly Finding[] {
    return [...this.#told.values()]
  }
}
