export { answers, type Answer, type AnswerCode, type TokenFailureCode } from './answers.ts'
export { bearerChallenge, refusal, type Refusal, type RefusalParts } from './refusal.ts'
