export { ignoreRejection, isThenable, withDeadline } from './deadline.ts'
export { scheduleTimer, type Schedule } from './schedule.ts'
