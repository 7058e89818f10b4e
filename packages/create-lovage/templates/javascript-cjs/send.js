const { app } = require('./app.js');
const { Divide } = require('./math/tasks.js');

async function main() {
  const result = await app.task(Divide).delay(1, 2);
  console.log(await result.get({ timeout: '10s' }));

  await app.stop(); // closes the connections, so that the process can end
}

void main();
