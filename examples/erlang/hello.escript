#!/usr/bin/env escript
%% Minute one: a queue in this VM, nothing configured, no socket. Run it by run.sh.

-mode(compile).

main(_) ->
    {ok, _} = application:ensure_all_started(primer),

    {ok, #{id := Id}} = primer:enqueue(<<"greetings">>, <<"hello, world">>, #{headers => #{<<"to">> => <<"you">>}}),
    io:format("enqueued ~s~n", [Id]),

    {ok, [Message]} = primer:'receive'(<<"greetings">>),
    #{id := Id, body := Body, attempts := 1, headers := [{<<"to">>, To}]} = Message,
    io:format("received ~s for ~s~n", [Body, To]),

    ok = primer:ack(Message),
    {ok, []} = primer:'receive'(<<"greetings">>),
    io:format("hello: done~n").
