// How sure a reading is, in three levels.

export const SURE = 0.95;
export const DOUBTFUL = 0.8;

/** "sure", "check" or "doubtful". */
export function level(confidence) {
  if (confidence >= SURE) return "sure";
  return confidence >= DOUBTFUL ? "check" : "doubtful";
}

/** 0.9567 is "95.7 %"; never rounded up to the whole 100. */
export function percent(confidence) {
  const shown = Math.floor(confidence * 1000) / 10;
  return `${shown === 100 ? "100" : shown.toFixed(1)} %`;
}
