// What is heard: a failed press above all. Made here, so that nothing has to be fetched when it matters.

const BEEPS = {
  alarm: { hertz: [880, 620, 880, 620], lastsS: 0.18 },
  warning: { hertz: [740, 740], lastsS: 0.12 },
  offline: { hertz: [330, 247], lastsS: 0.2 },
};

let context = null;

/** Browsers let a page be heard from the first press on; called by each. */
export function allowSound() {
  context ??= new AudioContext();
  context.resume();
}

export function play(name) {
  if (context?.state !== "running") return;
  const { hertz, lastsS } = BEEPS[name];
  hertz.forEach((frequency, place) => {
    const at = context.currentTime + place * lastsS * 1.2;
    const gain = new GainNode(context, { gain: 0 });
    gain.gain.setTargetAtTime(0.3, at, 0.01);
    gain.gain.setTargetAtTime(0, at + lastsS, 0.01);
    const tone = new OscillatorNode(context, { type: "square", frequency });
    tone.connect(gain).connect(context.destination);
    tone.start(at);
    tone.stop(at + lastsS + 0.1);
  });
}
