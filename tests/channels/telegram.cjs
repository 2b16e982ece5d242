// The package as it is published, on loopback; the port is printed when it can be used.
const TelegramServer = require(`${process.env.LAZARUS_NODE_MODULES}/telegram-test-api`);
const server = new TelegramServer({ host: '127.0.0.1', port: Number(process.argv[2]), storeTimeout: 3600 });
server.start().then(() => console.log('ready'));
