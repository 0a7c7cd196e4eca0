export { ignoreRejection, isThenable, withDeadline } from './deadline.ts'
export { after, type MaybePromise } from './maybe.ts'
export { scheduleTimer, type Schedule } from './schedule.ts'
export { keepTick, keptTick } from './tick.ts'
