#!/usr/bin/env node
import { secureApiCommand } from './secure-api.ts'
import { flushed, ignoreClosedPipe, terminalOf } from './terminal.ts'

ignoreClosedPipe(process)
const terminal = terminalOf(process)
const exitCode = await secureApiCommand(process.argv.slice(2), terminal)
await flushed(terminal)
// An application that was loaded may have left timers and connections behind.
process.exit(exitCode)
