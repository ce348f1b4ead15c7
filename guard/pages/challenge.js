"use strict";

// One file, two parts. As the page's script it hands the proof's sub-puzzles to
// workers, shows how far they are and sends the form; as a worker it solves
// them. The hashing is our own: for messages this short, crypto.subtle spends
// its time on promises and is some twenty times slower.

const PUZZLES = 8;
const WORKERS_MAX = 4; // more help little and make a phone hot
const PROVED = "deich-proved", PROVED_MS = 30e3; // when what was sent went out again with a fresh pass
const PATIENCE_MS = 100e3; // a proof older than two minutes is refused

const START = Int32Array.of(
	0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19);
const K = Int32Array.of(
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
	0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
	0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
	0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2);

// mix runs SHA-256's rounds from first up to last (FIPS 180-4, 6.2.2) on the
// eight registers of `from`, and leaves them in `to`. w holds the message's
// sixteen words; the schedule is extended in place.
function mix(w, first, last, from, to) {
	let a = from[0], b = from[1], c = from[2], d = from[3], e = from[4], f = from[5], g = from[6], h = from[7];
	for (let i = first; i < last; i++) {
		if (i > 15) {
			const x = w[i - 15], y = w[i - 2];
			w[i] = w[i - 16] + w[i - 7] + ((x >>> 7 | x << 25) ^ (x >>> 18 | x << 14) ^ x >>> 3)
				+ ((y >>> 17 | y << 15) ^ (y >>> 19 | y << 13) ^ y >>> 10);
		}
		const t = h + ((e >>> 6 | e << 26) ^ (e >>> 11 | e << 21) ^ (e >>> 25 | e << 7)) + (g ^ e & (f ^ g)) + K[i] + w[i] | 0;
		const u = ((a >>> 2 | a << 30) ^ (a >>> 13 | a << 19) ^ (a >>> 22 | a << 10)) + (a & b | c & (a | b)) | 0;
		h = g; g = f; f = e; e = d + t | 0; d = c; c = b; b = a; a = t + u | 0;
	}
	to[0] = a; to[1] = b; to[2] = c; to[3] = d; to[4] = e; to[5] = f; to[6] = g; to[7] = h;
}

// hash gives the SHA-256 of a text as eight words.
function hash(text) {
	const bytes = new TextEncoder().encode(text);
	const padded = new DataView(new ArrayBuffer((bytes.length + 8 >> 6) + 1 << 6));
	bytes.forEach((byte, i) => padded.setUint8(i, byte));
	padded.setUint8(bytes.length, 0x80);
	padded.setUint32(padded.byteLength - 4, bytes.length * 8);
	const sum = START.slice(), after = new Int32Array(8), w = new Int32Array(64);
	for (let block = 0; block < padded.byteLength; block += 64) {
		for (let i = 0; i < 16; i++) w[i] = padded.getInt32(block + 4 * i);
		mix(w, 0, 64, sum, after);
		for (let i = 0; i < 8; i++) sum[i] += after[i];
	}
	return sum;
}

// solve searches the n for which SHA-256(seed, puzzle, n) begins with `bits`
// zero bits. The message is one block: its first nine words stay, and so do the
// rounds that see only them; of the sum only the first word is looked at.
function solve(token, puzzle, bits) {
	const w = new Int32Array(64), fixed = new Int32Array(8), end = new Int32Array(8);
	w.set(hash(token));
	w[8] = puzzle; w[10] = 0x80000000; w[15] = 40 * 8;
	mix(w, 0, 9, START, fixed);
	for (let n = 0; ; n++) {
		w[9] = n;
		mix(w, 9, 64, fixed, end);
		if ((end[0] + START[0]) >>> 32 - bits === 0) return n;
	}
}

function page() {
	const at = id => document.getElementById(id);
	const form = document.forms[0], bar = document.querySelector("progress"), water = document.querySelector(".water g");
	const source = document.currentScript.src, workers = [], answers = [];
	const resends = document.body.className === "resend"; // there the browser holds what is to be sent again
	let next = 0, solved = 0, over = false;

	const say = id => { for (const p of at("says").children) p.hidden = p.id !== id; };
	const stop = (id, again) => {
		over = true;
		for (const w of workers) w.terminate();
		say(id);
		at("again").hidden = !again;
		at("again").classList.remove("late");
	};
	// A worker that cannot run leaves the queue: the place in it is kept already.
	const fail = () => {
		if (over) return;
		stop("failed", true);
		setTimeout(() => location.reload(), form.dataset.refresh * 1000);
	};
	const send = () => {
		if (performance.now() > PATIENCE_MS) return location.reload();
		form.elements.proof.value = answers.join("-");
		if (resends) return ask({ method: "POST", body: new URLSearchParams(new FormData(form)) }).then(() => {
			stop("done", false);
			sessionStorage.setItem(PROVED, Date.now());
			location.reload(); // with the pass
		}).catch(fail);
		form.action += location.hash; // a redirect keeps the fragment
		stop("done", false);
		form.submit();
	};
	const ask = async how => {
		const answer = await fetch(form.action, { ...how, headers: { Accept: "application/json" } });
		if (!answer.ok) throw new Error(answer.status);
		return answer;
	};
	const give = worker => {
		if (next < PUZZLES) worker.postMessage({ token: form.elements.token.value, puzzle: next++, bits: +form.dataset.bits });
	};

	at("late").hidden = at("again").hidden = true;
	if (resends) at("again").onclick = () => location.reload();
	if (resends && form.dataset.bits === "0") return fail(); // nothing to prove
	if (!navigator.cookieEnabled || turnedBack(resends)) return stop("cookies", true);
	say("work");
	const begin = () => {
		for (let i = Math.min(navigator.hardwareConcurrency || 1, WORKERS_MAX); i > 0; i--) {
			const worker = new Worker(source);
			workers.push(worker);
			worker.onerror = fail;
			worker.onmessage = ({ data }) => {
				answers[data.puzzle] = data.answer;
				bar.value = ++solved;
				water.style.transform = `translateY(${48 * solved / PUZZLES}px)`;
				if (solved === PUZZLES) send(); else give(worker);
			};
			give(worker);
		}
	};
	try {
		if (resends) {
			ask({}).then(answer => answer.json()).then(({ token, bits }) => {
				form.elements.token.value = token;
				form.dataset.bits = bits;
				begin();
			}).catch(fail);
		} else begin();
	} catch (e) {
		fail();
	}
	addEventListener("pageshow", e => { if (e.persisted) location.reload(); });
}

// turnedBack says whether a proof was just accepted and yet here we are again:
// the pass was not kept. To solve on and on would only heat the phone.
function turnedBack(resends) {
	if (resends) return Date.now() - sessionStorage.getItem(PROVED) < PROVED_MS;
	const visit = performance.getEntriesByType("navigation")[0];
	return !!visit && visit.redirectCount > 0 && document.referrer.split("#")[0] === location.href.split("#")[0];
}

if (typeof document === "undefined") {
	onmessage = ({ data }) => postMessage({ puzzle: data.puzzle, answer: solve(data.token, data.puzzle, data.bits) });
} else {
	page();
}
