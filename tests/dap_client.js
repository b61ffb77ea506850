// Debugs a build with VS Code's own client for tests of debug adapters. It knows nothing of
// bowline: it starts a program with `dap`, sets breakpoints, and prints where the build stops.
'use strict';

const { DebugClient } = require('@vscode/debugadapter-testsupport');

const [program, folder] = process.argv.slice(2);
const client = new DebugClient(program, 'dap', 'bowline', undefined, true);
// The test that started this limits its time.
client.defaultTimeout = 0x7fffffff;

// Events that nobody has waited for yet, and who waits.
const events = { stopped: [], exited: [] };
const waiting = { stopped: [], exited: [] };
for (const kind of Object.keys(events)) {
    client.on(kind, (event) => {
        const who = waiting[kind].shift();
        if (who) who(event.body);
        else events[kind].push(event.body);
    });
}

// Whoever waits for a stop that never comes is told.
client.on('terminated', () => {
    if (waiting.stopped.length > 0) {
        console.error('the build ended, and did not stop');
        process.exit(1);
    }
});

function next(kind) {
    const event = events[kind].shift();
    return event ? Promise.resolve(event) : new Promise((resolve) => waiting[kind].push(resolve));
}

async function stopped() {
    const { reason, threadId } = await next('stopped');
    const { body } = await client.stackTraceRequest({ threadId });
    console.log(`${reason} at ${body.stackFrames[0].line}`);
    return threadId;
}

async function session() {
    await client.start();
    await client.initializeRequest();
    const initialized = client.waitForEvent('initialized');
    await client.launchRequest({ contextPath: folder, stopOnEntry: true });
    await initialized;
    const source = { path: `${folder}/Dockerfile` };
    const set = await client.setBreakpointsRequest({ source, breakpoints: [{ line: 2 }] });
    console.log(`line ${set.body.breakpoints[0].line} verified: ${set.body.breakpoints[0].verified}`);
    await client.configurationDoneRequest();
    let threadId = await stopped();
    await client.continueRequest({ threadId });
    threadId = await stopped();
    await client.nextRequest({ threadId });
    threadId = await stopped();
    await client.stepBackRequest({ threadId });
    threadId = await stopped();
    await client.continueRequest({ threadId });
    threadId = await stopped();
    const said = await client.evaluateRequest({ expression: 'exec cat /left', context: 'repl' });
    console.log(said.body.result);
    await client.continueRequest({ threadId });
    console.log(`exited with ${(await next('exited')).exitCode}`);
    await client.stop();
}

session().catch((error) => {
    console.error(error);
    process.exit(1);
});
