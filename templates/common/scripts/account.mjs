import { addAccount } from '../{{sources}}/accounts.js'

// {{run}} account{{args}} alice api.read api.write
const [user, ...scopes] = process.argv.slice(2)
if (user === undefined) {
  console.error('Name the user, and then the scopes: {{run}} account{{args}} alice api.read api.write')
  process.exitCode = 2
} else {
  console.log(await addAccount(user, scopes))
}
