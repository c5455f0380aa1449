/** Placeholder. */
export interface RetrySchedule {}
