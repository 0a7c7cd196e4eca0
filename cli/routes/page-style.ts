import { style as common } from '../page/style.ts'

/** The columns of the routes; on a phone method and path are one line. */
export const style = `${common}
td:nth-child(1) { width: 1% }
td:nth-child(2) { min-width: 11rem }
td:nth-child(3) { min-width: 9rem }
td:nth-child(4) { min-width: 9.4rem }
td:nth-child(5) { min-width: 9rem }
td:nth-child(6) { min-width: 10.6rem }
td:nth-child(7) { min-width: 9.2rem }
@media (max-width: 66rem) {
  td:nth-child(n) { width: auto; min-width: 0 }
  td:nth-child(1), td:nth-child(2) { display: inline }
  td:nth-child(1) { padding-right: .5rem }
  td:nth-child(2) .more { padding-bottom: .35rem }
  td:nth-child(1)::before, td:nth-child(2)::before { content: none }
}
`
