export { withDeadline } from './deadline.ts'
export { scheduleTimer, type Schedule } from './schedule.ts'
export { isThenable } from './thenable.ts'
